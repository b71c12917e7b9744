"""A device that is not here is refused in a sentence that says which are."""

from __future__ import annotations

import pytest
import torch

from cookie.devices import resolve_device
from cookie.errors import UserError


@pytest.fixture
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many GPUs as the parameter says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(
    ("gpus", "name", "expected"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (0, "cpu:0", "cpu"),
        (2, "auto", "cuda"),
        (2, "cuda", "cuda"),
        (2, "cuda:1", "cuda:1"),
        (2, "cpu", "cpu"),
    ],
    indirect=["gpus"],
)
def test_a_device_that_is_here(name: str, expected: str):
    assert resolve_device(name) == torch.device(expected)


NONE = "use auto or cpu (there is no CUDA device here)."
TWO = "use auto, cpu, cuda or cuda:N (N from 0 to 1)."


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(
    ("gpus", "name", "sentence"),
    [
        *(
            (0, name, f"Unknown device '{name}': {NONE}")
            for name in ("gpu", "", "cuda:", "cuda:-1")
        ),
        *(
            (0, name, f"Unknown device '{name}': {NONE}")
            for name in ("meta", "mps", "xpu", "cpu:5")
        ),
        (2, "meta", f"Unknown device 'meta': {TWO}"),
        (2, "cuda:2", f"There is no device 'cuda:2' here: {TWO}"),
        (0, "cuda", "There is no CUDA device here: use --device cpu or auto."),
        (0, "cuda:9", "There is no CUDA device here: use --device cpu or auto."),
    ],
    indirect=["gpus"],
)
def test_a_device_that_is_not_here(name: str, sentence: str):
    with pytest.raises(UserError) as refused:
        resolve_device(name)
    assert str(refused.value) == sentence
