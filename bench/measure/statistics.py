"""Uncertainty of retrieval accuracy: bootstrap over images, paired tests, intervals.

Captions of one image are not independent: every bootstrap here draws whole images (clusters)
with replacement and takes their queries along. All resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

RESAMPLES = 10_000
CONFIDENCE = 0.95
_DRAWS_AT_ONCE = 4_000_000
_GRID = 2.0**24
"""Steps of 1 in which sums are kept. Multiples of such a step add up without rounding as long as
their total is below 2**29, so that every order of addition, and with it every number of threads and
every CPU, gives the same bytes, and what is equal stays equal."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval, all in the same unit (percent for rates)."""

    estimate: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return a JSON-able dictionary."""
        return asdict(self)

    def excludes(self, value: float) -> bool:
        """Whether ``value`` lies outside the interval."""
        return not self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class SeedSpread(Interval):
    """A mean over seeds with Student's interval. Attributes: p_value: two-sided, of a mean of 0."""

    p_value: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much better the first of two systems is on the same queries.

    Attributes:
        difference: first minus second, percentage points, with its interval.
        p_value: two-sided, of no difference.
        queries: pairs compared. clusters: images they belong to.
    """

    difference: Interval
    p_value: float
    queries: int
    clusters: int

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class McNemar:
    """Queries only one of two systems answers, and the exact two-sided p-value."""

    only_first: int
    only_second: int
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


def bootstrap_recall(
    ranks: ArrayLike,
    clusters: ArrayLike,
    ks: Sequence[int] = (1, 5, 10),
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[int, Interval]:
    """Return K -> R@K in percent with its percentile interval, resampling clusters.

    Args:
        ranks: (Q,) 0-based rank of the best positive per query.
        clusters: (Q,) the image each query belongs to (for i2t the query itself).
        ks: which R@K.
        resamples: bootstrap samples.
        confidence: coverage of the interval.
        seed: of the draws.
    """
    hits = _hits(ranks, ks)  # (Q, K)
    sums, counts = cluster_sums(hits, clusters)
    samples = bootstrap_means(sums, counts, resamples=resamples, seed=seed)
    return {
        int(k): interval(hits[:, column].mean(), samples[:, column], confidence)
        for column, k in enumerate(ks)
    }


def paired_bootstrap(
    first_ranks: ArrayLike,
    second_ranks: ArrayLike,
    clusters: ArrayLike,
    k: int = 1,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> PairedDifference:
    """Return the difference in R@``k`` between two systems on the same queries.

    The p-value is twice the smaller share of resamples on either side of zero, counting the
    data itself as one more resample on both sides, so it is never 0.
    """
    gain = _hits(first_ranks, (k,)) - _hits(second_ranks, (k,))
    sums, counts = cluster_sums(gain, clusters)
    samples = bootstrap_means(sums, counts, resamples=resamples, seed=seed)[:, 0]
    return PairedDifference(
        difference=interval(gain.mean(), samples, confidence),
        p_value=two_sided(samples),
        queries=len(gain),
        clusters=len(counts),
    )


def two_sided(differences: ArrayLike) -> float:
    """Return the two-sided bootstrap p-value of no difference, from resampled differences.

    Never below what the number of resamples can show.
    """
    samples = np.asarray(differences)
    tail = min(int((samples <= 0).sum()), int((samples >= 0).sum()))
    return min(1.0, 2.0 * (tail + 1) / (len(samples) + 1))


def mcnemar(first_ranks: ArrayLike, second_ranks: ArrayLike, k: int = 1) -> McNemar:
    """Return McNemar's exact test on the queries that only one system answers within ``k``.

    Under the null hypothesis either system is equally likely to be the one (binomial, 1/2). It
    takes queries as independent: use :func:`paired_bootstrap` where an image has several.
    """
    first, second = _hits(first_ranks, (k,))[:, 0], _hits(second_ranks, (k,))[:, 0]
    only_first, only_second = int((first > second).sum()), int((second > first).sum())
    discordant = only_first + only_second
    p_value = 2.0 * float(stats.binom.cdf(min(only_first, only_second), discordant, 0.5))
    return McNemar(only_first, only_second, min(1.0, p_value) if discordant else 1.0)


def wilson(hits: int, queries: int, confidence: float = CONFIDENCE) -> Interval:
    """Return a rate in percent with Wilson's score interval (Wilson, JASA 1927).

    For recall estimated from a random sample of queries against the full gallery; it treats them
    as independent and the population as endless, which errs on the wide side.
    """
    if not 0 <= hits <= queries or queries == 0:
        raise ValueError(f"{hits} hits of {queries} queries is no rate")
    rate, z = hits / queries, float(stats.norm.ppf(0.5 + confidence / 2))
    scale = 1 + z * z / queries
    middle = (rate + z * z / (2 * queries)) / scale
    half = z / scale * float(np.sqrt(rate * (1 - rate) / queries + (z / (2 * queries)) ** 2))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(100 * rate, 100 * min(low, rate), 100 * max(high, rate))


def seed_spread(values: Sequence[float], confidence: float = CONFIDENCE) -> SeedSpread:
    """Return the mean over seeds with Student's t interval; one seed has no finite interval."""
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) < 2:
        return SeedSpread(mean, float("nan"), float("nan"), float("nan"))
    error = float(array.std(ddof=1)) / len(array) ** 0.5
    half = float(stats.t.ppf(0.5 + confidence / 2, len(array) - 1)) * error
    distance = abs(mean) / error if error else float("inf") if mean else 0.0
    p_value = 2 * float(stats.t.sf(distance, len(array) - 1))
    return SeedSpread(mean, mean - half, mean + half, p_value)


def cluster_sums(values: FloatArray, clusters: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Sum per-query ``values`` (Q, M) over clusters: sums (C, M), and queries per cluster (C,)."""
    labels = np.asarray(clusters)
    if labels.shape != (len(values),) or not len(values):
        raise ValueError(f"{len(values)} queries need as many cluster labels, not {labels.shape}")
    _, index = np.unique(labels, return_inverse=True)
    counts = np.bincount(index).astype(np.float64)
    columns = [np.bincount(index, weights=column) for column in values.T]
    return np.stack(columns, axis=1), counts


def bootstrap_means(
    sums: FloatArray, counts: FloatArray, *, resamples: int = RESAMPLES, seed: int = 0
) -> FloatArray:
    """Return (resamples, M) means over queries when clusters are drawn with replacement.

    A resample of clusters none of which has a query (``counts`` may be 0) repeats the mean. The
    same arguments give the same bytes on every machine.
    """
    table = np.round(np.concatenate([sums, counts[:, None]], axis=1) * _GRID) / _GRID
    blocks = [weights @ table for weights in _weights(len(counts), resamples, seed)]
    drawn: FloatArray = np.concatenate(blocks)
    drawn[drawn[:, -1] == 0] = table.sum(axis=0)
    means: FloatArray = drawn[:, :-1] / drawn[:, -1:]
    return means


def _weights(clusters: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yield blocks of (B, clusters): how often each cluster is drawn in each resample."""
    generator = np.random.default_rng(seed)
    block = max(1, _DRAWS_AT_ONCE // clusters)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        draws = generator.integers(0, clusters, (size, clusters), dtype=np.int32)
        draws += np.arange(0, size * clusters, clusters, dtype=np.int32)[:, None]
        yield np.bincount(draws.ravel(), minlength=size * clusters).reshape(size, -1).astype("f8")


def interval(estimate: float, samples: FloatArray, confidence: float = CONFIDENCE) -> Interval:
    """Return the percentile interval of bootstrap ``samples`` around ``estimate``."""
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(samples, [tail, 100.0 - tail])
    return Interval(float(estimate), float(low), float(high))


def _hits(ranks: ArrayLike, ks: Sequence[int]) -> FloatArray:
    """Return (Q, K): 100 where the rank is below K, else 0."""
    hits = np.asarray(ranks)[:, None] < np.asarray(ks)[None, :]
    return np.where(hits, 100.0, 0.0)
