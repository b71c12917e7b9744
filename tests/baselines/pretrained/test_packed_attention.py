"""Packed self-attention against PyTorch's own module."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.pretrained.packed_attention import PackedAttention, pack_attention

LENGTH, WIDTH, HEADS = 5, 12, 3


def attention(**settings: Any) -> nn.MultiheadAttention:  # noqa: ANN401 -- keywords of a library
    torch.manual_seed(0)
    made = nn.MultiheadAttention(WIDTH, HEADS, **{"batch_first": True, **settings}).eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made


def hidden(seed: int = 1) -> Tensor:
    return torch.randn(2, LENGTH, WIDTH, generator=torch.Generator().manual_seed(seed))


CAUSAL = torch.ones(LENGTH, LENGTH).triu(1).bool()
MASKS = {
    "none": None,
    "bool": CAUSAL,
    "added": torch.zeros(LENGTH, LENGTH).masked_fill(CAUSAL, -torch.inf),
    "by head": CAUSAL.expand(2 * HEADS, LENGTH, LENGTH),
}


@torch.no_grad()
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mask", MASKS)
def test_equals_the_library(mask: str, bias: bool) -> None:
    inner, x = attention(bias=bias), hidden()
    wanted, _ = inner(x, x, x, need_weights=False, attn_mask=MASKS[mask])
    found, weights = PackedAttention(inner)(x, x, x, attn_mask=MASKS[mask])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert weights is None
    if mask != "none":
        free, _ = inner(x, x, x, need_weights=False)
        assert not torch.allclose(found, free, atol=1e-2)


@torch.no_grad()
def test_attention_to_another_sequence_and_weights_go_the_usual_way() -> None:
    inner, x, other = attention(), hidden(), hidden(2)
    packed = PackedAttention(inner)
    found, none = packed(x, other, other)
    torch.testing.assert_close(found, inner(x, other, other, need_weights=False)[0])
    assert none is None
    _, weights = packed(x, x, x, need_weights=True)
    torch.testing.assert_close(weights, inner(x, x, x)[1])


@torch.no_grad()
def test_nothing_is_transposed_before_the_linear_map(monkeypatch: pytest.MonkeyPatch) -> None:
    inner, x = attention(), hidden()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the library's slow way was taken")

    monkeypatch.setattr(inner, "forward", refuse)
    PackedAttention(inner)(x, x, x)


@pytest.mark.parametrize(
    "settings", [{"batch_first": False}, {"kdim": 4, "vdim": 4}, {"add_bias_kv": True}]
)
def test_what_cannot_be_packed_stays(settings: dict[str, Any]) -> None:
    model = nn.Sequential(attention(), attention(**settings))
    pack_attention(model)
    assert [type(part) for part in model] == [PackedAttention, nn.MultiheadAttention]
