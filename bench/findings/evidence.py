"""What accuracy records say about a system: its answers, recalls and their uncertainty.

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
        low, high = np.percentile(resampled_rsums([self])[0], [2.5, 97.5])
        return float(low), float(high)


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


def resampled_rsums(systems: Sequence[Evidence]) -> Floats:
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
