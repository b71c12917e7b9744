"""A module that OpenVINO cannot take runs as it is, and says so."""

from __future__ import annotations

import logging
from typing import NoReturn

import pytest
import torch
from torch import nn

from cookie.features.frozen import _compile

openvino = pytest.importorskip("openvino")


def test_a_conversion_that_fails_is_told_and_silences_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = logging.getLogger()

    def silence(_program: object) -> NoReturn:
        root.setLevel(logging.CRITICAL)
        root.addFilter(lambda _record: False)
        raise RuntimeError("an operation that nobody knows\nand a page about it")

    monkeypatch.setattr(openvino, "convert_model", silence)
    before = root.level, list(root.filters)
    assert _compile(nn.Linear(2, 2), (torch.ones(1, 2),), dynamic=False) is None
    assert (root.level, list(root.filters)) == before
    assert caplog.messages[-1] == (  # the exporter has a few of its own
        "No optimized graph (an operation that nobody knows): "
        "the frozen encoder runs as it is, slower."
    )


def test_a_converted_module_computes_the_same() -> None:
    module, inputs = nn.Sequential(nn.Linear(3, 4), nn.ReLU()).eval(), torch.randn(2, 3)
    compiled = _compile(module, (inputs,), dynamic=False)
    assert compiled is not None
    (found,) = compiled([inputs.numpy()]).values()
    torch.testing.assert_close(torch.from_numpy(found), module(inputs).detach())
