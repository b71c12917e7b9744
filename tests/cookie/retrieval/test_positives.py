"""Ragged ground truth: every form means the same rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cookie.retrieval.positives import (
    GroundTruthError,
    Positives,
    as_positives,
    image_positives,
    text_positives,
)

LISTS = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=8)


def rows(positives: Positives) -> list[list[int]]:
    return [positives.of(query).tolist() for query in range(len(positives))]


@given(LISTS)
def test_lists_are_kept_sorted_and_without_repeats(lists: list[list[int]]) -> None:
    expected = [sorted(set(row)) for row in lists]
    truth = Positives.from_lists(lists)
    assert rows(truth) == expected
    assert truth.counts.tolist() == [len(row) for row in expected]
    assert truth.answerable.tolist() == [query for query, row in enumerate(expected) if row]
    padded = truth.padded().tolist()
    assert [[item for item in row if item >= 0] for row in padded] == expected
    pairs = [(query, item) for query, row in enumerate(lists) for item in row]
    owners, items = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if pairs:
        assert rows(Positives.from_pairs(owners, items, len(lists))) == expected


@given(LISTS, st.randoms(use_true_random=False))
def test_selecting_queries(lists: list[list[int]], random: np.random.RandomState) -> None:
    chosen = [query for query in range(len(lists)) if random.random() < 0.5]
    random.shuffle(chosen)
    truth = Positives.from_lists(lists)
    part = truth.select(np.array(chosen, dtype=np.int64))
    assert rows(part) == [rows(truth)[query] for query in chosen]


def test_captions_and_images() -> None:
    caption_image = np.array([2, 0, 2, 0, 0])
    assert rows(text_positives(caption_image)) == [[2], [0], [2], [0], [0]]
    assert rows(image_positives(caption_image, 4)) == [[1, 3, 4], [], [0, 2], []]


def test_every_form_means_the_same() -> None:
    forms = (np.array([1, 0]), torch.tensor([1, 0]), [[1], [0]], Positives.from_lists([[1], [0]]))
    assert [rows(as_positives(form)) for form in forms] == [[[1], [0]]] * 4


@pytest.mark.parametrize("wrong", [np.array([0.5]), [["a"]], [[1.5]]])
def test_rows_must_be_whole_numbers(wrong: object) -> None:
    with pytest.raises(GroundTruthError, match="whole numbers"):
        as_positives(wrong)  # type: ignore[arg-type]


def test_check_names_what_does_not_fit() -> None:
    truth = Positives.from_lists([[0], [3]])
    truth.check(2, 4)
    with pytest.raises(GroundTruthError, match="2 queries but the scores have 3"):
        truth.check(3, 4)
    with pytest.raises(GroundTruthError, match="gallery row 3, but the gallery has 3"):
        truth.check(2, 3)
    with pytest.raises(GroundTruthError, match="gallery row -2"):
        Positives.from_lists([[-2]]).check(1, 3)
