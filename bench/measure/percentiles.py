"""Order statistics of measured times that know how many samples they stand on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

CONFIDENCE = 0.99
"""A percentile is claimed when this many of all sample sets of its size would reach it."""
SHOWN = (0.5, 0.9, 0.95, 0.99)
"""The percentiles of a summary, as shares."""
RESAMPLES = 2000
"""Bootstrap samples of a ratio of medians, whose interval is not known in closed form."""
_DRAWS_AT_ONCE = 2_000_000
SMALLEST_INTERVAL = 6
"""Samples below which no 95 % interval of a median exists: 2 * 0.5 ** 5 > 0.05."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval; ``low`` <= ``high`` in the unit of what it bounds."""

    low: float
    high: float
    confidence: float = 0.95

    def to_dict(self) -> dict[str, float]:
        """Return plain numbers."""
        return {"low": self.low, "high": self.high, "confidence": self.confidence}


def required_samples(share: float) -> int:
    """Return how many samples the percentile at ``share`` (0.99 is p99) needs to be claimed.

    The MLPerf early-stopping bound without over-latency queries: with n >= log(1 - c) / log(p)
    samples, at least one falls beyond the percentile p with confidence c. The median, which
    lies among the samples however few, needs one.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"a percentile's share lies between 0 and 1, not {share}")
    if share <= 0.5:
        return 1
    return math.ceil(math.log(1.0 - CONFIDENCE) / math.log(share))


def percentile(samples: Sequence[float], share: float) -> float | None:
    """Return the percentile at ``share``, or None where ``samples`` are too few to claim it.

    The nearest rank, a value that was really measured; the median is the usual one, the mean
    of the middle two of an even number.
    """
    if len(samples) < required_samples(share):
        return None
    if share == 0.5:
        return float(np.median(samples))
    return float(np.quantile(samples, share, method="inverted_cdf"))


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Return the bootstrap percentile interval of the median; None below six samples.

    Exact, without resampling: the median of n draws with replacement is at most the k-th order
    statistic when at least half of the draws fall there, a binomial tail (Efron 1979, sec. 3;
    Maritz and Jarrett 1978). For even n the lower median bounds below, the upper one above.
    """
    size = len(samples)
    if size < SMALLEST_INTERVAL:
        return None
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    tail = (1.0 - confidence) / 2.0
    low = _bootstrap_rank(size, (size + 1) // 2, tail)
    high = _bootstrap_rank(size, size // 2 + 1, 1.0 - tail)
    return Interval(float(ordered[low]), float(ordered[high]), confidence)


def rank_interval(samples: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Return the narrowest pair of opposite ranks that holds the median; None below six samples.

    The interval of the sign test: whatever the distribution, both ends leave it out in at most
    1 - ``confidence`` of all sample sets. Of few samples :func:`median_interval` promises too
    much: of seven its 95 % are 87.5 %.
    """
    size = len(samples)
    if size < SMALLEST_INTERVAL:
        return None
    beyond = int(binom.ppf((1.0 - confidence) / 2.0, size, 0.5))
    if binom.cdf(beyond, size, 0.5) > (1.0 - confidence) / 2.0:
        beyond -= 1
    if beyond < 0:
        return None
    ordered = sorted(samples)
    return Interval(float(ordered[beyond]), float(ordered[-1 - beyond]), confidence)


def ratio_interval(
    above: Sequence[float], below: Sequence[float], confidence: float = 0.95
) -> Interval | None:
    """Return the bootstrap percentile interval of median(``above``) / median(``below``).

    For samples that are not paired: both are drawn again, independently. None where either has
    fewer than six.
    """
    if min(len(above), len(below)) < SMALLEST_INTERVAL:
        return None
    generator = np.random.default_rng(0)
    ratios = _resampled_medians(above, generator) / _resampled_medians(below, generator)
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(ratios, [tail, 100.0 - tail])
    return Interval(float(low), float(high), confidence)


def _resampled_medians(
    samples: Sequence[float], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return (RESAMPLES,) medians of draws with replacement."""
    values, medians = np.asarray(samples, dtype=np.float64), list[NDArray[np.float64]]()
    block = max(1, _DRAWS_AT_ONCE // len(values))
    for start in range(0, RESAMPLES, block):
        size = min(block, RESAMPLES - start), len(values)
        medians.append(np.median(values[generator.integers(0, len(values), size)], axis=1))
    return np.concatenate(medians)


def _bootstrap_rank(size: int, middle: int, level: float) -> int:
    """Return the 0-based rank at ``level`` of a resample's ``middle``-th order statistic."""
    ranks: NDArray[np.float64] = np.arange(1, size + 1) / size
    reached = binom.sf(middle - 1, size, ranks)  # P(middle-th of the draws <= k-th sample)
    return int(np.searchsorted(reached, level))


def summary(samples: Sequence[float]) -> dict[str, Any]:
    """Return n, mean, extremes, the median with its interval and the percentiles (None: too few).

    All JSON-able and in the samples' unit; an empty sequence gives n = 0 and Nones.
    """
    if len(samples) == 0:
        return {"n": 0, "mean": None, "min": None, "max": None, "median_interval": None} | {
            name(share): None for share in SHOWN
        }
    interval = median_interval(samples)
    return {
        "n": len(samples),
        "mean": float(np.mean(samples)),
        "min": float(np.min(samples)),
        "max": float(np.max(samples)),
        "median_interval": None if interval is None else interval.to_dict(),
    } | {name(share): percentile(samples, share) for share in SHOWN}


def name(share: float) -> str:
    """Return what a percentile is called: 0.99 -> ``p99``, 0.999 -> ``p99.9``."""
    return f"p{share * 100:g}"
