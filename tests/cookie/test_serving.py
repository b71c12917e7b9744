"""A served model gives the trained one's numbers, to the bit, and leaves it as it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cookie.serving import ServedLinear, served


def network() -> nn.Sequential:
    torch.manual_seed(0)
    last = nn.Linear(64, 8, bias=False)
    return nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.LayerNorm(64), last).eval()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_same_numbers_with_and_without_autocast(enabled: bool) -> None:
    plain, x = network(), torch.randn(5, 32)
    ready = served(plain, torch.bfloat16)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        expected, found = plain(x), ready(x)
    assert found.dtype == expected.dtype == (torch.bfloat16 if enabled else torch.float32)
    assert torch.equal(found, expected)


def test_another_format_of_autocast_reads_the_weights_themselves() -> None:
    plain, x = network(), torch.randn(5, 32)
    ready = served(plain, torch.bfloat16)
    with torch.inference_mode(), torch.autocast("cpu", torch.float16):
        assert torch.equal(ready(x), plain(x))


def test_the_model_itself_stays_and_shares_its_parameters() -> None:
    plain = network()
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    ready = served(plain, torch.bfloat16)
    assert type(plain[0]) is nn.Linear
    assert plain.state_dict().keys() == before.keys() == ready.state_dict().keys()
    assert all(
        mine is yours for mine, yours in zip(ready.parameters(), plain.parameters(), strict=True)
    )
    assert sum(isinstance(part, ServedLinear) for part in ready.modules()) == 2


def test_no_weight_is_converted_at_a_call() -> None:
    ready, x = served(network(), torch.bfloat16), torch.randn(1, 32)
    with (
        torch.profiler.profile(record_shapes=True) as seen,
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16),
    ):
        ready(x)
    copied = [event.input_shapes[0] for event in seen.events() if event.name == "aten::_to_copy"]
    assert copied, "the inputs are converted"
    assert not any(shape in ([64, 32], [8, 64]) for shape in copied)
