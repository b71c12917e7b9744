"""The ring beside a list that forgets, and what a batch is told to compare itself with."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cookie.nn.queue import EMPTY, Queue

WIDTH = 3
Pair = tuple[int, list[float], list[float]]


def rows(ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return embeddings that tell which pair they are of, and its image id."""
    images = ids[:, None] + torch.tensor([0.0, 0.25, 0.5])
    return images, -images, ids


def pairs(queue: Queue) -> list[Pair]:
    """Return what is queued, in the order of the ring's places."""
    kept = zip(queue.ids.tolist(), queue.images.tolist(), queue.texts.tolist(), strict=True)
    return [pair for pair in kept if pair[0] != EMPTY]


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 9), counts=st.lists(st.integers(0, 9), max_size=8))
def test_the_newest_are_kept_whatever_the_sizes(size: int, counts: list[int]):
    queue, expected = Queue(size, WIDTH), deque[Pair](maxlen=size)
    made = 0
    for count in counts:
        images, texts, ids = rows(torch.arange(made, made + min(count, size)))
        queue.enqueue(images, texts, ids)
        expected.extend(zip(ids.tolist(), images.tolist(), texts.tolist(), strict=True))
        made += len(ids)
        assert sorted(pairs(queue)) == list(expected)
        assert queue.filled == len(expected)
        assert int(queue.pointer) == made % size


def test_a_batch_that_does_not_divide_the_ring_goes_on_at_its_start():
    queue = Queue(5, WIDTH)
    for start in (10, 13, 16):
        queue.enqueue(*rows(torch.arange(start, start + 3)))
    assert queue.ids.tolist() == [15, 16, 17, 18, 14]
    assert queue.images[:, 0].tolist() == [15, 16, 17, 18, 14]
    assert queue.texts[:, 0].tolist() == [-15, -16, -17, -18, -14]


def test_a_batch_as_large_as_the_ring_takes_it_whole_and_a_larger_one_is_refused():
    queue = Queue(4, WIDTH)
    queue.enqueue(*rows(torch.arange(3)))
    queue.enqueue(*rows(torch.arange(7, 11)))
    assert sorted(queue.ids.tolist()) == [7, 8, 9, 10]
    before = queue.state_dict()
    with pytest.raises(ValueError, match="a batch of 5 does not fit into a queue of 4"):
        queue.enqueue(*rows(torch.arange(5)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in queue.state_dict().items())


def test_empty_places_and_pairs_of_the_same_image_are_excluded():
    queue = Queue(6, WIDTH)
    queue.enqueue(*rows(torch.tensor([4, 0, 7, 4])))
    outside = queue.outside(torch.tensor([0, 4, 9]))
    assert outside.excluded.tolist() == [
        [False, True, False, False, True, True],
        [True, False, False, True, True, True],
        [False, False, False, False, True, True],
    ]
    assert outside.keys is None
    assert outside.images.shape == outside.texts.shape == (6, WIDTH)


def test_what_a_batch_was_compared_with_stays_as_it_was():
    queue = Queue(4, WIDTH)
    queue.enqueue(*rows(torch.arange(4)))
    outside, images = queue.outside(torch.tensor([9])), torch.rand(1, WIDTH, requires_grad=True)
    scores = images @ outside.images.T
    queue.enqueue(*rows(torch.arange(10, 13)))
    scores.sum().backward()
    assert images.grad is not None
    assert images.grad.tolist() == [rows(torch.arange(4))[0].sum(dim=0).tolist()]


def test_keys_are_handed_on():
    keys = torch.rand(2, WIDTH), torch.rand(2, WIDTH)
    assert Queue(6, WIDTH).outside(torch.tensor([0, 1]), keys).keys is keys


def test_nothing_queued_has_a_gradient():
    queue = Queue(3, WIDTH)
    images = torch.rand(2, WIDTH, requires_grad=True)
    queue.enqueue(images * 2, images.bfloat16(), torch.arange(2))
    assert not queue.images.requires_grad
    assert not queue.texts.requires_grad
    assert queue.images.dtype == queue.texts.dtype == torch.float32
    assert torch.equal(queue.images[:2], images.detach() * 2)


def test_its_state_is_all_there_is_to_it():
    queue, other = Queue(5, WIDTH), Queue(5, WIDTH)
    queue.enqueue(*rows(torch.arange(3)))
    other.load_state_dict(queue.state_dict())
    for each in (queue, other):
        each.enqueue(*rows(torch.arange(20, 24)))
    assert pairs(other) == pairs(queue)
    assert not list(queue.parameters())
