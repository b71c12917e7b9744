"""What accuracy records say about a system, and about the difference between two.

Resampling is over images: an image and its captions are drawn together, since captions of one
image are not independent. Several seeds enter as the mean over seeds of each query's hits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records import Record

KS = (1, 5, 10)
DIRECTIONS = ("i2t", "t2i")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answers:
    """How well one direction's queries were answered.

    Attributes:
        queries: (Q,) rows of the queries, ascending: image indices for i2t, captions for t2i.
        images: (Q,) the image that each query belongs to.
        hits: (Q, len(KS)) share of the seeds with a right answer among the first k.
    """

    queries: NDArray[np.int64]
    images: NDArray[np.int64]
    hits: Floats

    def only(self, queries: NDArray[np.int64]) -> Answers:
        """Return the answers to those of ``queries`` that were asked."""
        kept = np.isin(self.queries, queries)
        return Answers(self.queries[kept], self.images[kept], self.hits[kept])


@dataclass(frozen=True, slots=True)
class Evidence:
    """The answers of one system in both directions, over ``seeds``."""

    answers: Mapping[str, Answers]
    seeds: tuple[int, ...]

    def recall(self, direction: str, k: int) -> float:
        """Return R@k in percent."""
        return float(100 * self.answers[direction].hits[:, KS.index(k)].mean())

    @property
    def rsum(self) -> float:
        """Sum of R@1, R@5, R@10 of both directions, 0 to 600."""
        return sum(self.recall(direction, k) for direction in DIRECTIONS for k in KS)

    @property
    def rsum_interval(self) -> tuple[float, float]:
        """95 % percentile bootstrap interval of :attr:`rsum`."""
        low, high = np.percentile(_resampled_rsums([self])[0], [2.5, 97.5])
        return float(low), float(high)


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


def gather(records: Sequence[Record]) -> Evidence:
    """Return the evidence in a system's accuracy records, one a seed."""
    return gather_samples({record.cell.seed: record.samples for record in records})


def gather_samples(samples: Mapping[int, Mapping[str, Any]]) -> Evidence:
    """Return the evidence in samples by seed: each direction's queries, their images and ranks."""
    answers = {
        direction: _answers([found[direction] for found in samples.values()])
        for direction in DIRECTIONS
    }
    return Evidence(answers, tuple(sorted(samples)))


def _answers(tables: Sequence[Mapping[str, Sequence[int]]]) -> Answers:
    """Average hits over seeds on the queries that all seeds answered."""
    queries = _answered_by_all(tables)
    hits = np.mean([_hits(table, queries, KS) for table in tables], axis=0)
    first = dict(zip(tables[0]["query"], tables[0]["image"], strict=True))
    images = np.array([first[query] for query in queries.tolist()], dtype=np.int64)
    return Answers(queries, images, hits)


def recall_curve(records: Sequence[Record], direction: str, ks: Sequence[int]) -> Floats:
    """Return (len(ks),) R@k in percent, from the ranks in a system's records, one a seed."""
    tables = [record.samples[direction] for record in records]
    queries = _answered_by_all(tables)
    curves = [100 * _hits(table, queries, ks).mean(axis=0) for table in tables]
    mean: Floats = np.mean(curves, axis=0)
    return mean


def _answered_by_all(tables: Sequence[Mapping[str, Sequence[int]]]) -> NDArray[np.int64]:
    """Return the queries of all seeds, ascending."""
    common = set.intersection(*(set(table["query"]) for table in tables))
    return np.array(sorted(common), dtype=np.int64)


def _hits(
    table: Mapping[str, Sequence[int]], queries: NDArray[np.int64], ks: Sequence[int]
) -> Floats:
    order = np.argsort(np.asarray(table["query"]))
    place = order[np.searchsorted(np.asarray(table["query"]), queries, sorter=order)]
    ranks = np.asarray(table["rank"])[place]
    return (ranks[:, None] < np.array(ks)).astype(np.float64)


def compare(first: Evidence, second: Evidence) -> Difference:
    """Return the paired difference of two systems on the queries that both answered."""
    pair = _on_common_queries(first, second)
    one, two = _resampled_rsums(pair)
    differences = one - two
    low, high = np.percentile(differences, [2.5, 97.5])
    return Difference(
        first=pair[0].rsum,
        second=pair[1].rsum,
        low=float(low),
        high=float(high),
        p_value=_p_value(differences),
        standard_error=float(differences.std(ddof=1)),
        queries={name: len(answers.queries) for name, answers in pair[0].answers.items()},
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
    one, two = _on_common_queries(first, second)
    return [
        difference
        for direction in DIRECTIONS
        for difference in _recall_differences(direction, one, two)
    ]


def _recall_differences(direction: str, one: Evidence, two: Evidence) -> list[RecallDifference]:
    from bench.measure.statistics import bootstrap_means, cluster_sums

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
            _p_value(drawn[:, column]),
            len(answers.queries),
        )
        for column, k in enumerate(KS)
    ]


def _on_common_queries(first: Evidence, second: Evidence) -> tuple[Evidence, Evidence]:
    common = {
        name: np.intersect1d(first.answers[name].queries, second.answers[name].queries)
        for name in DIRECTIONS
    }
    return _restrict(first, common), _restrict(second, common)


def _restrict(evidence: Evidence, queries: Mapping[str, NDArray[np.int64]]) -> Evidence:
    answers = {name: evidence.answers[name].only(queries[name]) for name in DIRECTIONS}
    return Evidence(answers, evidence.seeds)


def _p_value(differences: Floats) -> float:
    """Two-sided bootstrap p-value; never below what the number of resamples can show."""
    tail = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(differences) + 1)))


def _resampled_rsums(systems: Sequence[Evidence]) -> Floats:
    """Return (systems, resamples) RSUMs, all systems under the same resampled images.

    A recall is a ratio of two sums over images, hits and queries asked; both are resampled, so
    that a random sample of queries is treated as one.
    """
    from bench.measure.statistics import bootstrap_means  # scipy takes a second to import

    parts = [system.answers[name] for system in systems for name in DIRECTIONS]
    images = np.unique(np.concatenate([part.images for part in parts]))
    sums = np.concatenate([_sums(part, images) for part in parts], axis=1)
    drawn = bootstrap_means(sums, np.ones(len(images)))  # (resamples, parts x (hits, asked))
    recalls = 100 * drawn[:, 0::2] / np.maximum(drawn[:, 1::2], 1e-9)
    rsums: Floats = recalls.reshape(len(drawn), len(systems), -1).sum(axis=2).T
    return rsums


def _sums(answers: Answers, images: NDArray[np.int64]) -> Floats:
    """Return (images, 2): the hits within every k of an image's queries, and how many it has."""
    place = np.searchsorted(images, answers.images)
    hits = np.bincount(place, answers.hits.sum(axis=1), minlength=len(images))
    asked = np.bincount(place, minlength=len(images))
    return np.stack([hits, asked.astype(np.float64)], axis=1)
