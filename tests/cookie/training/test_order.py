"""The data order: complete, without repeats in a batch, and the same for every system."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cookie.errors import UserError
from cookie.training.order import pair_batches, pair_order, step_generator

RAGGED = np.array([3, 0, 0, 5, 3, 3, 1])


def test_an_epoch_takes_every_image_with_captions_once():
    for epoch in range(20):
        order = pair_order(RAGGED, 7, epoch)
        assert sorted(RAGGED[order]) == [0, 1, 3, 5]


def test_every_caption_gets_its_turn_about_equally_often():
    seen = Counter(caption for epoch in range(600) for caption in pair_order(RAGGED, 0, epoch))
    assert seen[6] == seen[3] == 600
    for caption, share in ((0, 3), (4, 3), (5, 3), (1, 2), (2, 2)):
        assert 600 / share - 70 < seen[caption] < 600 / share + 70


def test_orders_differ_between_epochs_and_seeds_and_repeat_for_the_same():
    images = np.arange(50)
    base = pair_order(images, 1, 2)
    assert (base == pair_order(images, 1, 2)).all()
    assert (base != pair_order(images, 1, 3)).any()
    assert (base != pair_order(images, 2, 2)).any()
    assert (base != pair_order(images, 2, 1)).any()


def test_the_caption_of_an_image_does_not_depend_on_the_other_images():
    everything = pair_order(RAGGED, 4, 9)
    first = pair_order(np.where(RAGGED == 5, 4, RAGGED), 4, 9)
    chosen = dict(zip(RAGGED[everything], everything, strict=True))
    again = dict(zip(np.where(RAGGED == 5, 4, RAGGED)[first], first, strict=True))
    assert all(chosen[image] == again[image] for image in (0, 1, 3))


def test_known_order():
    """Raw draws of a counter-based generator do not change with the library's version."""
    assert pair_order(np.repeat(np.arange(5), 2), 3, 1).tolist() == [7, 8, 0, 4, 3]


def test_no_captions_give_an_empty_order():
    assert pair_order(np.empty(0, np.int64), 0, 0).tolist() == []


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 99), st.data())
def test_batches_hold_no_image_twice_and_epochs_stay_whole(
    images: list[int], seed: int, data: st.DataObject
):
    caption_image = np.array(images)
    count = len(set(images))
    size = data.draw(st.integers(1, count))
    batches = list(islice(pair_batches(caption_image, size, seed), 3 * count))
    for batch in batches:
        assert len(set(caption_image[batch])) == size
    flat = np.concatenate(batches)
    for epoch in range(len(flat) // count):
        captions = flat[epoch * count : (epoch + 1) * count]
        assert sorted(captions) == sorted(pair_order(caption_image, seed, epoch))


def test_starting_late_gives_the_same_batches():
    caption_image = np.arange(11)
    whole = list(islice(pair_batches(caption_image, 4, 5), 20))
    late = list(islice(pair_batches(caption_image, 4, 5, start=9), 11))
    assert np.array_equal(whole[9:], late)


def test_a_batch_larger_than_the_split_is_refused():
    with pytest.raises(UserError, match=r"batch of 5 .* has 4: set a smaller train\.batch_size"):
        pair_batches(RAGGED, 5, 0)


def test_step_generators_are_reproducible_and_apart():
    keys = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    draws = [torch.rand(4, generator=step_generator(*key)) for key in keys]
    assert all(torch.equal(draws[i], draws[j]) == (i == j) for i in range(4) for j in range(4))
    assert torch.equal(draws[2], torch.rand(4, generator=step_generator(0, 1, 0)))
