"""The difference in accuracy between two systems, paired on the queries that both answered."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.findings.evidence import DIRECTIONS, KS, Evidence, Floats, resampled_rsums
from bench.layout import spread


@dataclass(frozen=True, slots=True)
class Difference:
    """RSUM of one system minus another's, on the queries that both answered.

    Attributes:
        low, high: 95 % paired bootstrap interval.
        p_value: two-sided, of no difference.
        standard_error: of the difference, by the same bootstrap.
        first, second: the RSUMs on the common queries.
        queries: number of common queries by direction.
    """

    first: float
    second: float
    low: float
    high: float
    p_value: float
    standard_error: float
    queries: Mapping[str, int]

    @property
    def value(self) -> float:
        """The difference itself."""
        return self.first - self.second

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        tail = "" if self.significant else ", no difference"
        return f"{spread(self.value, self.low, self.high, '+')}{tail}"


def compare(first: Evidence, second: Evidence) -> Difference:
    """Return the paired difference of two systems on the queries that both answered."""
    pair = on_common_queries(first, second)
    one, two = resampled_rsums(pair)
    return _difference(pair[0].rsum, pair[1].rsum, one - two, pair[0])


def compare_gaps(first: tuple[Evidence, Evidence], second: tuple[Evidence, Evidence]) -> Difference:
    """Return how one difference in RSUM differs from another, on the queries that all answered.

    Its ``first`` and ``second`` are those two differences.
    """
    four = on_common_queries(*first, *second)
    drawn = resampled_rsums(four)
    one, two = four[0].rsum - four[1].rsum, four[2].rsum - four[3].rsum
    return _difference(one, two, drawn[0] - drawn[1] - (drawn[2] - drawn[3]), four[0])


def _difference(first: float, second: float, drawn: Floats, asked: Evidence) -> Difference:
    """Return the difference of two numbers, given ``drawn`` (resamples,) of it."""
    from bench.measure.statistics import two_sided  # scipy takes a second to import

    low, high = np.percentile(drawn, [2.5, 97.5])
    return Difference(
        first=first,
        second=second,
        low=float(low),
        high=float(high),
        p_value=two_sided(drawn),
        standard_error=float(drawn.std(ddof=1)),
        queries={name: len(answers.queries) for name, answers in asked.answers.items()},
    )


@dataclass(frozen=True, slots=True)
class RecallDifference:
    """R@k of one system minus another's on common queries, in percentage points.

    Attributes:
        first, second: the recalls in percent. low, high: 95 % paired bootstrap interval.
        p_value: two-sided, of no difference. queries: number of common queries.
    """

    direction: str
    k: int
    first: float
    second: float
    low: float
    high: float
    p_value: float
    queries: int

    @property
    def value(self) -> float:
        """The difference itself."""
        return self.first - self.second


def compare_recalls(first: Evidence, second: Evidence) -> list[RecallDifference]:
    """Return the paired differences in every R@k, on the queries that both answered."""
    one, two = on_common_queries(first, second)
    return [
        difference
        for direction in DIRECTIONS
        for difference in _recall_differences(direction, one, two)
    ]


def _recall_differences(direction: str, one: Evidence, two: Evidence) -> list[RecallDifference]:
    from bench.measure.statistics import bootstrap_means, cluster_sums, two_sided

    answers = one.answers[direction]
    gains = 100 * (answers.hits - two.answers[direction].hits)  # (Q, len(KS))
    drawn = bootstrap_means(*cluster_sums(gains, answers.images))
    lows, highs = np.percentile(drawn, [2.5, 97.5], axis=0)
    return [
        RecallDifference(
            direction,
            k,
            one.recall(direction, k),
            two.recall(direction, k),
            float(lows[column]),
            float(highs[column]),
            two_sided(drawn[:, column]),
            len(answers.queries),
        )
        for column, k in enumerate(KS)
    ]


def on_common_queries(*systems: Evidence) -> list[Evidence]:
    """Return the systems' answers to those queries that all of them answered."""
    common = {
        name: functools.reduce(np.intersect1d, (one.answers[name].queries for one in systems))
        for name in DIRECTIONS
    }
    return [_restrict(one, common) for one in systems]


def _restrict(evidence: Evidence, queries: Mapping[str, NDArray[np.int64]]) -> Evidence:
    answers = {name: evidence.answers[name].only(queries[name]) for name in DIRECTIONS}
    return Evidence(answers, evidence.seeds)
