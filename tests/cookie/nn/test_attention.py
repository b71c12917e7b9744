"""Attention against explicit loops and against PyTorch's own modules on copied weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from cookie.nn.attention import FeedForward, SelfAttention


def build(width: int = 8, heads: int = 2, dropout: float = 0.0) -> SelfAttention:
    torch.manual_seed(0)
    return SelfAttention(width, heads, dropout).eval()


def example(rows: int = 3, length: int = 5, width: int = 8) -> tuple[Tensor, Tensor]:
    hidden = torch.randn(rows, length, width, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(rows, length, dtype=torch.bool)
    mask[0, 2:] = False
    return hidden, mask


def by_hand(attention: SelfAttention, hidden: Tensor, mask: Tensor) -> Tensor:
    """One row, one head, one query at a time."""
    query, key, value = attention.qkv(hidden).chunk(3, dim=-1)
    share = hidden.shape[-1] // attention.heads
    mixed = torch.zeros_like(hidden)
    for row in range(len(hidden)):
        real = mask[row].nonzero().flatten()
        for head in range(attention.heads):
            part = slice(head * share, (head + 1) * share)
            for position in range(hidden.shape[1]):
                scores = key[row, real, part] @ query[row, position, part] / math.sqrt(share)
                mixed[row, position, part] = scores.softmax(0) @ value[row, real, part]
    result: Tensor = attention.output(mixed)
    return result


def test_equals_loops():
    attention, (hidden, mask) = build(), example()
    torch.testing.assert_close(attention(hidden, mask), by_hand(attention, hidden, mask))


def test_equals_torchs_own_on_copied_weights():
    attention, (hidden, mask) = build(heads=4), example()
    other = nn.MultiheadAttention(8, 4, batch_first=True).eval()
    names = {"qkv.": "in_proj_", "output.": "out_proj."}
    state = attention.state_dict()
    for ours, theirs in names.items():
        state = {name.replace(ours, theirs): tensor for name, tensor in state.items()}
    other.load_state_dict(state)
    expected, _ = other(hidden, hidden, hidden, key_padding_mask=~mask, need_weights=False)
    torch.testing.assert_close(attention(hidden, mask), expected)


def test_padding_is_not_attended_to():
    attention, (hidden, mask) = build(), example()
    changed = hidden.clone()
    changed[0, 2:] = 1e3
    torch.testing.assert_close(attention(changed, mask)[0, :2], attention(hidden, mask)[0, :2])


def test_without_a_mask_everything_is_attended_to():
    attention, (hidden, mask) = build(), example()
    torch.testing.assert_close(attention(hidden), attention(hidden, torch.ones_like(mask)))
    assert not torch.allclose(attention(hidden)[0], attention(hidden, mask)[0])


@pytest.mark.parametrize("wanted", [slice(0, 1), slice(1, 4)])
def test_queries_give_those_rows_alone(wanted: slice):
    attention, (hidden, mask) = build(), example()
    found = attention(hidden, mask, queries=hidden[:, wanted])
    torch.testing.assert_close(found, attention(hidden, mask)[:, wanted])


def test_dropout_is_for_training():
    attention, (hidden, _) = build(dropout=0.5), example()
    assert torch.equal(attention(hidden), attention(hidden))
    attention.train()
    assert not torch.equal(attention(hidden), attention(hidden))


def test_bfloat16_trains_as_float32_does():
    attention, (hidden, mask) = build(width=32, heads=4).train(), example(width=32)
    expected, gradient = outcome(attention, hidden, mask, low=False)
    found, found_gradient = outcome(attention, hidden, mask, low=True)
    for low, whole in ((found, expected), (found_gradient, gradient)):
        assert (low - whole).norm() < 0.02 * whole.norm()


@pytest.mark.parametrize("wanted", [slice(0, 1), slice(1, 4)])
def test_queries_give_those_rows_alone_in_bfloat16(wanted: slice):
    attention, (hidden, mask) = build().train(), example()
    with torch.autocast("cpu", torch.bfloat16):
        found = attention(hidden, mask, queries=hidden[:, wanted])
        assert torch.equal(found, attention(hidden, mask)[:, wanted])


def test_dropout_in_bfloat16_keeps_the_mean():
    attention, (hidden, _) = build(dropout=0.5), example()
    with torch.autocast("cpu", torch.bfloat16):
        whole = attention(hidden).float()
        attention.train()
        drawn = torch.stack([attention(hidden).float() for _ in range(400)])
    assert drawn.std(dim=0).min() > 0
    torch.testing.assert_close(drawn.mean(dim=0), whole, rtol=0, atol=0.05)


def test_on_a_cpu_bfloat16_is_trained_without_the_fused_kernel(monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    fused = torch.nn.functional.scaled_dot_product_attention

    def counted(*tensors: Tensor | float | None) -> Tensor:
        calls.append(1)
        return fused(*tensors)  # type: ignore[arg-type]

    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", counted)
    attention, (hidden, mask) = build().train(), example()
    with torch.autocast("cpu", torch.bfloat16):
        attention(hidden, mask)
        assert not calls
        attention.eval()
        with torch.no_grad():
            attention(hidden, mask)
    assert len(calls) == 1


def test_without_gradients_training_gives_the_same_bits():
    attention, (hidden, mask) = build(dropout=0.5).train(), example()
    found = []
    for gradients in (False, True):
        torch.manual_seed(7)
        with torch.set_grad_enabled(gradients), torch.autocast("cpu", torch.bfloat16):
            found.append(attention(hidden, mask))
    assert torch.equal(*found)


def outcome(
    attention: SelfAttention, hidden: Tensor, mask: Tensor, *, low: bool
) -> tuple[Tensor, Tensor]:
    """Return the attention's output and the gradient of its square sum, in float32."""
    attention.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        found = attention(hidden, mask).float()
    found.square().sum().backward()
    assert attention.qkv.weight.grad is not None
    return found.detach(), attention.qkv.weight.grad.clone()


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads do not divide 8 channels"):
        SelfAttention(8, 3, 0.0)


def test_feed_forward_works_on_each_token():
    torch.manual_seed(2)
    mlp, hidden = FeedForward(8, 20), example()[0]
    first, _, last = mlp
    x = first(hidden[1, 2])
    gelu = x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    torch.testing.assert_close(mlp(hidden)[1, 2], last(gelu))
