"""Packed self-attention against PyTorch's own module."""

from __future__ import annotations

import copy
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


def both(**settings: Any) -> tuple[nn.MultiheadAttention, nn.Module]:  # noqa: ANN401
    """Return a module, and a packed copy of it."""
    inner = attention(**settings)
    packed = nn.Sequential(copy.deepcopy(inner))
    pack_attention(packed)
    return inner, packed[0]


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
    (inner, packed), x = both(bias=bias), hidden()
    wanted, _ = inner(x, x, x, need_weights=False, attn_mask=MASKS[mask])
    found, weights = packed(x, x, x, need_weights=False, attn_mask=MASKS[mask])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert weights is None
    if mask != "none":
        free, _ = inner(x, x, x, need_weights=False)
        assert not torch.allclose(found, free, atol=1e-2)


@torch.no_grad()
def test_anything_else_goes_the_usual_way() -> None:
    (inner, packed), x, other = both(), hidden(), hidden(2)
    padding = torch.tensor([[False] * LENGTH, [False] * 3 + [True] * 2])
    for keys in ({"need_weights": True}, {"key_padding_mask": padding, "need_weights": False}):
        for found, wanted in zip(packed(x, x, x, **keys), inner(x, x, x, **keys), strict=True):
            torch.testing.assert_close(found, wanted)
    crossed = packed(x, other, other, need_weights=False)[0]
    torch.testing.assert_close(crossed, inner(x, other, other, need_weights=False)[0])


def test_gradients_equal_the_library() -> None:
    found: list[dict[str, Tensor]] = []
    for module in both():
        module.train()
        x = hidden().requires_grad_()
        module(x, x, x, need_weights=False, attn_mask=CAUSAL)[0].square().sum().backward()
        grads = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
        found.append({**grads, "x": x.grad if x.grad is not None else x})
    assert found[0].keys() == found[1].keys()
    for name, wanted in found[0].items():
        torch.testing.assert_close(found[1][name], wanted, atol=1e-4, rtol=1e-4, msg=name)


@torch.no_grad()
def test_the_slow_way_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    (_, packed), x = both(), hidden()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the library's slow way was taken")

    monkeypatch.setattr(nn.MultiheadAttention, "forward", refuse)
    packed(x, x, x, need_weights=False)


@pytest.mark.parametrize(
    "settings", [{"batch_first": False}, {"kdim": 4, "vdim": 4}, {"add_bias_kv": True}]
)
def test_what_cannot_be_packed_stays(settings: dict[str, Any]) -> None:
    model = nn.Sequential(attention(), attention(**settings))
    names = model.state_dict().keys()
    pack_attention(model)
    assert [type(part) for part in model] == [PackedAttention, nn.MultiheadAttention]
    assert model.state_dict().keys() == names
