"""Correlation, thresholds and F1 against their definitions and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from cookie.retrieval.paraphrase import accuracy_and_f1, best_threshold, paired_cosines, spearman


def case(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, 2, 40)
    cosines = labels * 0.4 + draws.random(40)
    return (np.round(cosines, 1) if ties else cosines), labels


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_no_threshold_is_right_more_often(seed: int, ties: bool):
    cosines, labels = case(seed, ties)
    found = accuracy_and_f1(cosines, labels, best_threshold(cosines, labels))[0]
    every = [*cosines.tolist(), 9.0]
    assert found == max(accuracy_and_f1(cosines, labels, t)[0] for t in every)


def test_nothing_is_a_paraphrase_where_none_is():
    cosines = np.array([0.9, 0.5, 0.2])
    assert best_threshold(cosines, np.zeros(3)) > 0.9
    assert accuracy_and_f1(cosines, np.zeros(3), 2.0) == (100.0, 0.0)


def test_accuracy_and_f1_are_scikit_learns():
    cosines, labels = case(1, False)
    said = cosines >= 0.7
    expected = 100 * accuracy_score(labels, said), 100 * f1_score(labels, said)
    assert accuracy_and_f1(cosines, labels, 0.7) == pytest.approx(expected)


def test_spearman_is_pearson_of_ranks():
    draws = np.random.default_rng(0)
    x, y = draws.random(30), draws.random(30)
    ranks = [np.argsort(np.argsort(v)) for v in (x, y)]
    assert spearman(x, y)[0] == pytest.approx(100 * np.corrcoef(*ranks)[0, 1])
    assert spearman(x, x**3) == (pytest.approx(100), pytest.approx(0))


def test_the_standard_error_is_that_of_many_draws():
    draws = np.random.default_rng(0)
    found = []
    for _ in range(600):
        x = draws.standard_normal(60)
        found.append(spearman(x, 0.6 * x + 0.8 * draws.standard_normal(60)))
    values, errors = np.array(found).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.15)


def test_cosines_are_of_matching_rows():
    first, second = np.eye(3), np.eye(3)[[0, 2, 1]]
    assert paired_cosines(first, second).tolist() == [1, 0, 0]
