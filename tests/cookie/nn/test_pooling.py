"""The poolings against loops over rows and channels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cookie.errors import UserError
from cookie.nn.pooling import GeneralizedPool, MaxPool, MeanPool, build_pooling, poolings

NAMES = ("mean", "max", "gpo")
every_pooling = pytest.mark.parametrize("name", NAMES)


def example(seed: int, lengths: list[int], width: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(len(lengths), max(lengths), width, generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return tokens, mask


def build(name: str, seed: int = 0) -> nn.Module:
    """A pooling whose learned part, if any, is not at its start."""
    torch.manual_seed(seed)
    pool = build_pooling(name)  # type: ignore[arg-type]
    for parameter in pool.parameters():
        nn.init.normal_(parameter, std=0.5)
    return pool


def generalized_by_hand(pool: GeneralizedPool, tokens: Tensor, length: int) -> list[float]:
    """Sort, weigh and add the first ``length`` tokens of one row, channel by channel."""
    weights = pool.weights(torch.tensor([length]), length)[0].tolist()
    channels = tokens[:length].T.tolist()
    return [
        sum(w * x for w, x in zip(weights, sorted(channel, reverse=True), strict=True))
        for channel in channels
    ]


@every_pooling
def test_padding_never_shows(name: str):
    pool, (tokens, mask) = build(name), example(0, [1, 3, 5, 5])
    expected = pool(tokens, mask)
    for filler in (1e4, -1e4, 0.0):
        padded = tokens.masked_fill(~mask[..., None], filler)
        torch.testing.assert_close(pool(padded, mask), expected)


@every_pooling
def test_longer_padding_changes_nothing(name: str):
    pool, (tokens, mask) = build(name), example(1, [2, 4])
    longer = torch.cat([tokens, torch.randn(2, 3, 4)], dim=1)
    longer_mask = torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(pool(longer, longer_mask), pool(tokens, mask))


@every_pooling
def test_each_row_is_pooled_alone(name: str):
    pool, (tokens, mask) = build(name), example(2, [1, 4, 6])
    together = pool(tokens, mask)
    for row, length in enumerate([1, 4, 6]):
        alone = pool(tokens[row : row + 1, :length])
        torch.testing.assert_close(together[row : row + 1], alone)


@every_pooling
def test_no_mask_means_no_padding(name: str):
    pool, (tokens, mask) = build(name), example(3, [5, 5])
    torch.testing.assert_close(pool(tokens), pool(tokens, mask))


@every_pooling
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_tokens_does_not_matter(name: str, seed: int):
    pool, (tokens, _) = build(name), example(seed, [6, 6])
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(pool(tokens[:, order]), pool(tokens))


@every_pooling
def test_gradients_are_finite_and_stop_at_padding(name: str):
    pool, (tokens, mask) = build(name), example(4, [1, 3, 5])
    tokens.requires_grad_()
    pool(tokens, mask).square().sum().backward()
    assert tokens.grad is not None
    assert tokens.grad.isfinite().all()
    assert not tokens.grad[~mask].any()
    assert tokens.grad[mask].any(dim=-1).sum() >= 3  # every row gets some


@every_pooling
def test_gradients_are_right(name: str):
    pool = build(name).double()
    tokens, mask = example(5, [2, 4], width=3)
    inputs = (tokens.double().requires_grad_(), mask)
    # The rank weights are float32 by design, so differences are taken in larger steps.
    assert torch.autograd.gradcheck(pool, inputs, eps=1e-3, atol=1e-4)


def test_mean_by_hand():
    tokens = torch.tensor([[[1.0, 10.0], [3.0, 20.0], [99.0, 99.0]]])
    mask = torch.tensor([[True, True, False]])
    assert MeanPool()(tokens, mask).tolist() == [[2.0, 15.0]]


def test_max_by_hand():
    tokens = torch.tensor([[[-3.0, 10.0], [-1.0, -20.0], [99.0, 99.0]]])
    mask = torch.tensor([[True, True, False]])
    assert MaxPool()(tokens, mask).tolist() == [[-1.0, 10.0]]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_equals_loops(seed: int, lengths: list[int]):
    pool, (tokens, mask) = build("gpo", seed), example(seed, lengths)
    assert isinstance(pool, GeneralizedPool)
    found = pool(tokens, mask).tolist()
    for row, length in enumerate(lengths):
        by_hand = generalized_by_hand(pool, tokens[row], length)
        assert found[row] == pytest.approx(by_hand, abs=1e-5)


def test_starts_as_the_mean():
    tokens, mask = example(6, [1, 4, 7])
    found = GeneralizedPool()(tokens, mask)
    torch.testing.assert_close(found, MeanPool()(tokens, mask))


def test_can_become_the_maximum():
    pool, (tokens, mask) = GeneralizedPool(), example(7, [2, 5])
    optimizer = torch.optim.Adam(pool.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        distance = (pool(tokens, mask) - MaxPool()(tokens, mask)).square().mean()
        distance.backward()
        optimizer.step()
    assert distance.item() < 1e-3
    assert (pool.weights(torch.tensor([2, 5]), 5)[:, 0] > 0.95).all()


def test_weights_sum_to_one_and_end_with_the_row():
    pool = build("gpo")
    assert isinstance(pool, GeneralizedPool)
    weights = pool.weights(torch.tensor([1, 3, 4]), 4)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    positive = (weights > 0).tolist()
    assert positive == [[True] + [False] * 3, [True] * 3 + [False], [True] * 4]


def test_weights_depend_on_rank_and_length():
    pool = build("gpo")
    assert isinstance(pool, GeneralizedPool)
    four, five = pool.weights(torch.tensor([4, 5]), 5)
    assert four.unique().numel() == 5  # four different weights and the zero beyond them
    assert not torch.allclose(four[:4], five[:4] / five[:4].sum())


def test_all_names_are_registered_and_others_suggest():
    assert tuple(poolings) == NAMES
    with pytest.raises(UserError, match="did you mean 'mean'"):
        build_pooling("meen")  # type: ignore[arg-type]
