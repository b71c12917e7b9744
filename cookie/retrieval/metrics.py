"""Retrieval metrics from ranks: what is reported, and the formulas.

All rates are in percent. Ranks in arrays are 0-based; ``median_rank`` and ``mean_rank`` are
1-based, as the retrieval literature prints them.

* R@K is the literature's *hit rate*: the share of queries with **at least one** positive among
  the K best. It is not information retrieval's recall, the share of the positives found.
* mAP@R (Musgrave et al., ECCV 2020; ECCV Caption, ECCV 2022): with R positives,
  ``1/R * sum over r = 1..R of [item r is a positive] * (positives among the first r) / r``.
* R-Precision: the share of positives among the first R.
* Ties: the *reported* rank orders equal scores by gallery index, as :func:`cookie.retrieval.topk`
  does; ``optimistic`` puts the positive first among its equals and ``pessimistic`` last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cookie.interfaces import IndexArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class QueryRanks:
    """What the metrics are computed from, one entry per query with a positive.

    A best positive without a score (a shortlist missed it) has rank ``gallery``: never found.

    Attributes:
        queries: index of each query among all queries given.
        ranks: 0-based rank of the best positive, equal scores ordered by gallery index.
        optimistic: its rank ahead of every negative that scores the same.
        pessimistic: its rank behind them.
        average_precision: of each query, at its R, 0..1.
        r_precision: of each query, 0..1.
        gallery: gallery size.
    """

    queries: IndexArray
    ranks: IndexArray
    optimistic: IndexArray
    pessimistic: IndexArray
    average_precision: FloatArray
    r_precision: FloatArray
    gallery: int


@dataclass(frozen=True, slots=True, eq=False)
class DirectionMetrics:
    """Metrics of one direction; rates in percent.

    Attributes:
        recall: K -> R@K (hit rate), equal scores ordered by gallery index.
        optimistic: K -> R@K with the positive first among its equals.
        pessimistic: K -> R@K with the positive last among its equals.
        median_rank: median of the best positive's 1-based rank.
        mean_rank: mean of it; with shortlists a lower bound.
        mrr: mean reciprocal rank of the best positive; 0 for one that was never found.
        map_at_r: mean average precision at R.
        r_precision: mean share of positives among the first R.
        tied: share of queries whose best positive scores the same as a negative.
        ranks: (Q,) int64, the best positive's 0-based rank per query.
        queries: (Q,) int64, which queries these are (all that have a positive).
        gallery: gallery size.
    """

    recall: dict[int, float]
    optimistic: dict[int, float]
    pessimistic: dict[int, float]
    median_rank: float
    mean_rank: float
    mrr: float
    map_at_r: float
    r_precision: float
    tied: float
    ranks: IndexArray
    queries: IndexArray
    gallery: int

    @property
    def collapsed(self) -> bool:
        """Whether ties decide the result: most best positives share their score with a negative."""
        return self.tied > 50.0

    def to_dict(self, *, ranks: bool = False) -> dict[str, Any]:
        """Return a JSON-able dictionary, with per-query ranks if asked for."""
        result: dict[str, Any] = {
            "recall": {str(k): value for k, value in self.recall.items()},
            "optimistic": {str(k): value for k, value in self.optimistic.items()},
            "pessimistic": {str(k): value for k, value in self.pessimistic.items()},
            "median_rank": self.median_rank,
            "mean_rank": self.mean_rank,
            "mrr": self.mrr,
            "map_at_r": self.map_at_r,
            "r_precision": self.r_precision,
            "tied": self.tied,
            "queries": len(self.ranks),
            "gallery": self.gallery,
        }
        return result | ({"ranks": self.ranks.tolist()} if ranks else {})


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalMetrics:
    """Both directions: ``i2t`` image query, caption gallery; ``t2i`` caption query, images."""

    i2t: DirectionMetrics
    t2i: DirectionMetrics

    @property
    def rsum(self) -> float:
        """Sum of all recalls of both directions (at most 600 for K = 1, 5, 10)."""
        return sum(self.i2t.recall.values()) + sum(self.t2i.recall.values())

    def to_dict(self, *, ranks: bool = False) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        directions = {name: getattr(self, name).to_dict(ranks=ranks) for name in ("i2t", "t2i")}
        return {"rsum": self.rsum, **directions}


def summarize(query_ranks: QueryRanks, ks: Sequence[int]) -> DirectionMetrics:
    """Return the metrics of ranked queries; without queries every figure is NaN."""
    ranks, gallery = query_ranks.ranks, query_ranks.gallery
    reciprocal = np.where(ranks < gallery, 1.0 / (ranks + 1.0), 0.0)
    return DirectionMetrics(
        recall=hit_rates(ranks, ks),
        optimistic=hit_rates(query_ranks.optimistic, ks),
        pessimistic=hit_rates(query_ranks.pessimistic, ks),
        median_rank=float(np.median(ranks)) + 1.0 if len(ranks) else float("nan"),
        mean_rank=_mean(ranks) + 1.0,
        mrr=100.0 * _mean(reciprocal),
        map_at_r=100.0 * _mean(query_ranks.average_precision),
        r_precision=100.0 * _mean(query_ranks.r_precision),
        tied=100.0 * _mean(query_ranks.pessimistic > query_ranks.optimistic),
        ranks=ranks,
        queries=query_ranks.queries,
        gallery=gallery,
    )


def hit_rates(ranks: IndexArray, ks: Sequence[int]) -> dict[int, float]:
    """Return K -> percent of ``ranks`` (0-based) below K."""
    return {int(k): 100.0 * _mean(ranks < k) for k in ks}


def check_ks(ks: Sequence[int]) -> tuple[int, ...]:
    """Return ``ks`` sorted; raise ValueError unless they are positive whole numbers."""
    if not ks or any(int(k) != k or k < 1 for k in ks):
        raise ValueError(f"ks must be positive whole numbers, not {tuple(ks)}")
    return tuple(sorted({int(k) for k in ks}))


def mean_metrics(rows: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Return the mean of several K -> rate tables, such as folds."""
    return {k: float(np.mean([row[k] for row in rows])) for k in rows[0]}


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")
