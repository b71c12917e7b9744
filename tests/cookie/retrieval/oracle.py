"""Slow, obvious definitions that the fast code is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cookie.interfaces import IndexArray


def ranking(scores: NDArray[np.floating]) -> IndexArray:
    """Return the gallery ordered by score, equal scores by index."""
    return np.array(sorted(range(len(scores)), key=lambda item: (-scores[item], item)), np.int64)


def best_rank(scores: NDArray[np.floating], positives: Sequence[int]) -> int:
    """Return the place of the first positive."""
    return min(list(ranking(scores)).index(positive) for positive in positives)


def optimistic_rank(scores: NDArray[np.floating], positives: Sequence[int]) -> int:
    """Return the best positive's place when it wins every tie."""
    best = max(scores[positive] for positive in positives)
    return sum(1 for score in scores if score > best)


def pessimistic_rank(scores: NDArray[np.floating], positives: Sequence[int]) -> int:
    """Return the best positive's place when it loses every tie against a negative."""
    best = max(scores[positive] for positive in positives)
    negatives = [score for item, score in enumerate(scores) if item not in set(positives)]
    return sum(1 for score in negatives if score >= best)


def average_precision_at_r(scores: NDArray[np.floating], positives: Sequence[int]) -> float:
    """Return mAP@R's term of one query, by its definition."""
    ranked, wanted = list(ranking(scores))[: len(positives)], set(positives)
    precisions = [
        len(wanted & set(ranked[:place])) / place if ranked[place - 1] in wanted else 0.0
        for place in range(1, len(ranked) + 1)
    ]
    return sum(precisions) / len(positives)


def recall(scores: NDArray[np.floating], positives: Sequence[Sequence[int]], k: int) -> float:
    """Return R@K in percent: the share of rows with a positive among the ``k`` best."""
    hits = [best_rank(row, wanted) < k for row, wanted in zip(scores, positives, strict=True)]
    return 100.0 * sum(hits) / len(hits)
