"""Samples of queries: affordable, unbiased, nested."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.sampling import draw, pairs_of_all
from tests.bench.toy import ToyCorpus

CORPUS = ToyCorpus(images=30)
CAPTIONS = len(CORPUS.captions)


def test_a_query_of_either_modality_meets_all_of_the_other() -> None:
    assert pairs_of_all(CORPUS) == (CAPTIONS, 30)


@given(st.floats(0, 5000))
def test_a_sample_keeps_to_what_is_affordable(affordable: float) -> None:
    sample = draw(CORPUS, affordable, (CAPTIONS, 30), 0)
    pairs = len(sample.images) * CAPTIONS, len(sample.captions) * 30
    if sample.whole:
        assert (len(sample.images), len(sample.captions)) == (30, CAPTIONS)
    if len(sample.images) > 2 and len(sample.captions) > 2:
        assert sum(pairs) <= affordable
    assert len(sample.images) >= 2
    assert len(set(sample.images.tolist())) == len(sample.images)


def test_directions_share_the_pairs_as_neyman_says() -> None:
    """Among all splits of the pairs, none gives a sum of two rates with a smaller variance."""
    affordable, costs = 900.0, (CAPTIONS, 30)

    def variance(share: float) -> float:
        return costs[0] / (share * affordable) + costs[1] / ((1 - share) * affordable)

    sample = draw(CORPUS, affordable, costs, 0)
    chosen = 1 / len(sample.images) + 1 / len(sample.captions)
    best = min(variance(share) for share in np.linspace(0.01, 0.99, 99))
    assert chosen == pytest.approx(best, rel=0.1)


def test_a_larger_sample_holds_the_smaller_one() -> None:
    small, large = (draw(CORPUS, pairs, (CAPTIONS, 30), 0) for pairs in (500, 1500))
    assert set(small.images) < set(large.images)
    assert set(small.captions) < set(large.captions)
    assert not large.whole


def test_queries_are_drawn_evenly() -> None:
    counts = np.zeros(CAPTIONS)
    for seed in range(400):
        counts[draw(CORPUS, 600, (CAPTIONS, 30), seed).captions] += 1
    share = counts / 400
    expected = len(draw(CORPUS, 600, (CAPTIONS, 30), 0).captions) / CAPTIONS
    assert share.mean() == pytest.approx(expected)
    assert np.abs(share - expected).max() < 5 * np.sqrt(expected * (1 - expected) / 400)
