"""InfoNCE with negatives from outside the batch: loops, and two libraries' memories."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cookie.interfaces import Outside
from cookie.nn.losses import info_nce
from cookie.nn.queue import Queue

WIDTH = 5
TEMPERATURE = 0.2
SCALE = 1 / TEMPERATURE


def unit(generator: torch.Generator, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return F.normalize(torch.randn(count, WIDTH, generator=generator, dtype=dtype), dim=-1)


def anything(
    seed: int, rows: int, queued: int, keys: bool, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Outside]:
    """Return a batch, and a queue of which a third of the pairs does not count."""
    generator = torch.Generator().manual_seed(seed)
    excluded = torch.rand(rows, queued, generator=generator) < 1 / 3
    images, texts = (unit(generator, queued, dtype) for _ in range(2))
    own = (unit(generator, rows, dtype), unit(generator, rows, dtype)) if keys else None
    first, second = (unit(generator, rows, dtype) for _ in range(2))
    return first, second, Outside(images, texts, excluded, own)


def by_hand(first: Tensor, second: Tensor, scale: float, outside: Outside) -> float:
    """One row, one direction and one candidate at a time."""
    images, texts = outside.keys or (first, second)
    directions = ((first, texts, outside.texts), (second, images, outside.images))
    losses = []
    for rows, keys, queued in directions:
        for i, row in enumerate(rows):
            scores = [scale * float(row @ key) for key in keys]
            right = scores[i]
            for place, other in enumerate(queued):
                if not outside.excluded[i, place]:
                    scores.append(scale * float(row @ other))
            losses.append(math.log(sum(math.exp(score) for score in scores)) - right)
    return sum(losses) / len(losses)


with_keys = pytest.mark.parametrize("keys", [False, True], ids=["queue", "momentum"])


@with_keys
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 6),
    queued=st.integers(1, 8),
    scale=st.floats(0.5, 30),
)
def test_equals_loops(keys: bool, seed: int, rows: int, queued: int, scale: float):
    first, second, outside = anything(seed, rows, queued, keys)
    expected = by_hand(first, second, scale, outside)
    assert info_nce(first, second, scale, outside).item() == pytest.approx(expected)


def test_two_pairs_and_two_queued_ones_of_which_one_is_an_image_of_the_batch():
    first = second = torch.eye(2)
    images, texts = torch.tensor([[0.6, 0.8], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    outside = Outside(images, texts, torch.tensor([[False, False], [False, True]]))
    # Partner first, then the other key, then what is queued and counts.
    there = [(1.0, 0.0, 1.0, 0.8), (1.0, 0.0, 0.0)]
    back = [(1.0, 0.0, 0.6, 0.0), (1.0, 0.0, 0.8)]
    each = [math.log(sum(map(math.exp, scores))) - scores[0] for scores in (*there, *back)]
    assert info_nce(first, second, 1.0, outside).item() == pytest.approx(sum(each) / 4)


def test_an_empty_queue_is_no_queue():
    first, second, _ = anything(0, 6, 1, False)
    outside = Queue(4, WIDTH).double().outside(torch.arange(6))
    torch.testing.assert_close(
        info_nce(first, second, SCALE, outside), info_nce(first, second, SCALE)
    )


def test_its_own_rows_as_keys_change_the_gradient_alone():
    first, second, outside = anything(1, 6, 4, False)
    first.requires_grad_()
    own = outside._replace(keys=(first.detach(), second))
    plain, keyed = (info_nce(first, second, SCALE, each) for each in (outside, own))
    torch.testing.assert_close(plain, keyed)
    gradients = [torch.autograd.grad(loss, first)[0] for loss in (plain, keyed)]
    assert not torch.allclose(*gradients)


class Stream:
    """Successive batches of a model that changes a little: images, captions, keys of both."""

    def __init__(self, rows: int, seed: int = 0) -> None:
        self.rows, self.generator, self.next_id = rows, torch.Generator().manual_seed(seed), 0

    def batch(self) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], Tensor]:
        """Return images, captions, their keys, and image ids that never come back."""
        ids = torch.arange(self.next_id, self.next_id + self.rows)
        self.next_id += self.rows
        first, second, third, fourth = (unit(self.generator, self.rows) for _ in range(4))
        return first.requires_grad_(), second.requires_grad_(), (third, fourth), ids


@with_keys
@pytest.mark.parametrize(("rows", "size"), [(3, 7), (4, 8), (5, 5), (2, 9)])
def test_is_metric_learnings_cross_batch_memory(keys: bool, rows: int, size: int):
    """The library's memory holds the batch as well, so it is larger by a batch than the queue.

    While it fills, when it is full and when it goes on at its start: loss and gradients.
    """
    losses = pytest.importorskip("pytorch_metric_learning.losses")

    def memory() -> torch.nn.Module:
        inner = losses.NTXentLoss(temperature=TEMPERATURE)
        made: torch.nn.Module = losses.CrossBatchMemory(inner, WIDTH, memory_size=size + rows)
        return made

    others, queue, stream = (memory(), memory()), Queue(size, WIDTH), Stream(rows)
    are_keys = torch.arange(2 * rows) >= rows  # of the rows that the library is given
    for _ in range(8):
        *leaves, own, ids = stream.batch()
        first, second = (F.normalize(leaf) for leaf in leaves)  # as the library does on its own
        images, texts = own if keys else (first, second)
        found = info_nce(first, second, SCALE, queue.outside(ids, own if keys else None))
        there, back = (
            other(torch.cat([queries, targets]), ids.repeat(2), enqueue_mask=are_keys)
            for other, queries, targets in zip(
                others, (first, second), (texts, images), strict=True
            )
        )
        torch.testing.assert_close(found, (there + back) / 2, rtol=1e-6, atol=1e-6)
        if keys:  # without keys the library has no gradient for the rows it has queued
            given = torch.autograd.grad(found, leaves, retain_graph=True)
            wanted = torch.autograd.grad((there + back) / 2, leaves)
            torch.testing.assert_close(given, wanted, rtol=1e-5, atol=1e-6)
        queue.enqueue(images, texts, ids)


@with_keys
def test_is_lightlys_memory_bank_over_successive_batches(keys: bool):
    """The library compares a row with its partner and the bank alone: batches of one pair."""
    losses = pytest.importorskip("lightly.loss")
    others = [losses.NTXentLoss(TEMPERATURE, memory_bank_size=(6, WIDTH)) for _ in range(2)]
    queue, stream = Queue(6, WIDTH), Stream(1, seed=3)
    texts, images = (other.memory_bank.bank.clone() for other in others)  # it starts at random
    queue.enqueue(images, texts, torch.arange(100, 106))
    for _ in range(15):
        first, second, own, ids = stream.batch()
        images, texts = own if keys else (first, second)
        found = info_nce(first, second, SCALE, queue.outside(ids, own if keys else None))
        expected = (others[0](first, texts) + others[1](second, images)) / 2
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
        queue.enqueue(images, texts, ids)


@with_keys
def test_is_lightlys_memory_bank_row_by_row(keys: bool):
    """A bank of all that a row is told from: the batch's other keys and what is not excluded."""
    losses = pytest.importorskip("lightly.loss")
    first, second, outside = anything(5, 6, 9, keys, torch.float32)
    images, texts = outside.keys or (first, second)
    directions = ((first, texts, outside.texts), (second, images, outside.images))
    each = []
    for rows, partners, queued in directions:
        for i in range(len(rows)):
            others = torch.cat([partners[:i], partners[i + 1 :], queued[~outside.excluded[i]]])
            other = losses.NTXentLoss(TEMPERATURE, memory_bank_size=tuple(others.shape))
            other.memory_bank.bank = others
            each.append(other(rows[i : i + 1], partners[i : i + 1]))
    found = info_nce(first, second, SCALE, outside)
    torch.testing.assert_close(found, torch.stack(each).mean(), rtol=1e-6, atol=1e-6)


@with_keys
def test_gradients_are_right(keys: bool):
    first, second, outside = anything(6, 4, 5, keys)
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    inputs = (first.requires_grad_(), second.requires_grad_(), scale)
    assert torch.autograd.gradcheck(lambda *given: info_nce(*given, outside), inputs)


@with_keys
def test_autocast_changes_nothing(keys: bool):
    first, second, outside = anything(7, 6, 5, keys, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = info_nce(first, second, SCALE, outside)
    assert found.dtype == torch.float32
    assert torch.equal(found, info_nce(first, second, SCALE, outside))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_more_negatives_make_it_harder(seed: int):
    first, second, outside = anything(seed, 5, 7, False)
    none = outside._replace(excluded=torch.ones_like(outside.excluded))
    losses = [info_nce(first, second, SCALE, each) for each in (none, outside)]
    assert losses[0] < losses[1] or bool(outside.excluded.all())


def test_a_collapsed_model_scores_chance():
    same = torch.ones(4, 3) / math.sqrt(3)
    outside = Outside(same, same, torch.eye(4, dtype=torch.bool))
    assert info_nce(same, same, 10.0, outside).item() == pytest.approx(math.log(4 + 3))
