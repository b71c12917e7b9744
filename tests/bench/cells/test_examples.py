"""The same few captions for every system, and the best images of each."""

from __future__ import annotations

import numpy as np
import torch

from bench.cells.examples import FOUND, QUERIES, best, example_captions


def test_captions_are_always_the_same_few() -> None:
    first, second = example_captions(120), example_captions(120)
    assert np.array_equal(first, second)
    assert len(set(first.tolist())) == QUERIES
    assert first.tolist() == sorted(first.tolist())
    assert 0 <= first.min() <= first.max() < 120
    assert len(example_captions(3)) == 3


def test_the_best_come_first_and_equals_keep_their_order() -> None:
    scores = torch.randn(7, 30, generator=torch.Generator().manual_seed(0)).round()
    expected = [
        sorted(range(30), key=lambda column: (-row[column], column))[:FOUND]
        for row in scores.tolist()
    ]
    assert best(scores).tolist() == expected


def test_images_that_were_not_shortlisted_come_last() -> None:
    scores = torch.full((1, 10), -torch.inf)
    scores[0, [7, 2]] = torch.tensor([1.0, 2.0])
    assert best(scores).tolist() == [[2, 7, 0, 1, 3]]
