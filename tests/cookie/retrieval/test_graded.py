"""Graded relevance against slow oracles and scikit-learn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from cookie.retrieval.graded import chance_ndcg, ndcg, r_precision


def case(seed: int, queries: int = 6, gallery: int = 14, unjudged: float = 0.3):
    draws = np.random.default_rng(seed)
    gains = draws.integers(0, 4, (queries, gallery)) / 3
    gains[draws.random(gains.shape) < unjudged] = np.nan
    return draws.standard_normal(gains.shape), gains


def slow(scores: np.ndarray, gains: np.ndarray, k: int) -> float:
    judged = [(s, g) for s, g in zip(scores, gains, strict=True) if not math.isnan(g)]
    found = [g for _, g in sorted(judged, key=lambda pair: -pair[0])][:k]
    best = sorted((g for _, g in judged), reverse=True)[:k]
    total, ideal = (sum(g / math.log2(r + 2) for r, g in enumerate(x)) for x in (found, best))
    return total / ideal if ideal else math.nan


@pytest.mark.parametrize("k", [1, 3, 10, 50])
@pytest.mark.parametrize("seed", range(5))
def test_ndcg_is_its_definition(seed: int, k: int):
    scores, gains = case(seed)
    expected = [slow(*pair, k) for pair in zip(scores, gains, strict=True)]
    np.testing.assert_allclose(ndcg(scores, gains, k), expected)


def test_ndcg_is_scikit_learns_where_everything_is_judged():
    scores, gains = case(3, unjudged=0)
    assert ndcg(scores, gains, 5).mean() == pytest.approx(ndcg_score(gains, scores, k=5))


def test_nothing_to_gain_is_no_query():
    gains = np.array([[0.0, 0.0, np.nan], [np.nan, np.nan, np.nan], [0.0, 1.0, 0.0]])
    found = ndcg(np.ones((3, 3)), gains)
    assert np.isnan(found).tolist() == [True, True, False]
    assert np.isnan(r_precision(np.ones((3, 3)), gains, 0.5)).tolist() == [True, True, False]


def test_chance_is_the_mean_over_all_orders():
    gains = np.array([[1.0, 0.3, np.nan, 0.0, 0.6, 0.0]])
    orders = [ndcg([order], gains, 3)[0] for order in itertools.permutations(range(6))]
    assert chance_ndcg(gains, 3) == pytest.approx([np.mean(orders)])
    few = np.array([[1.0, 0.0, np.nan]])
    assert chance_ndcg(few, 10) == pytest.approx([(1 + 1 / math.log2(3)) / 2])
    assert np.isnan(chance_ndcg(np.zeros((1, 3)))).all()


def test_r_precision_counts_the_first_r():
    gains = np.array([[0.9, 0.8, 0.1, np.nan, 0.6]])
    scores = np.array([[1.0, 5.0, 4.0, 9.0, 0.0]])  # judged order: 0.8, 0.1, 0.9, 0.6
    assert r_precision(scores, gains, 0.5) == pytest.approx([2 / 3])
    assert r_precision(scores, gains, 0.85) == pytest.approx([0.0])
    assert r_precision(gains, gains, 0.5) == pytest.approx([1.0])


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one matrix each"):
        ndcg(np.ones((2, 3)), np.ones((3, 2)))
