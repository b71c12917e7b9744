"""Accuracy as a record holds it: metrics, their intervals, and the ranks to compute others from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bench.measure.statistics import (
    CONFIDENCE,
    RESAMPLES,
    FloatArray,
    Interval,
    PairedDifference,
    bootstrap_means,
    interval,
    wilson,
)
from bench.measure.statistics import paired_bootstrap as _paired_bootstrap
from cookie.interfaces import IndexArray
from cookie.retrieval import DirectionMetrics, RetrievalMetrics

Direction = Literal["i2t", "t2i"]
DIRECTIONS: tuple[str, ...] = ("i2t", "t2i")


@dataclass(frozen=True, slots=True)
class AccuracySummary:
    """Both directions under one protocol, with intervals, ready for a JSON record.

    Attributes:
        protocol: what was evaluated, e.g. ``karpathy-test`` or ``coco-5k``.
        metrics: :meth:`RetrievalMetrics.to_dict`, with per-query ranks.
        intervals: ``i2t``/``t2i`` -> K -> interval of R@K, percent.
        rsum: sum of recalls with its interval.
        sampled: whether the queries are a random sample (against the full gallery).
        clusters: ``i2t``/``t2i`` -> the image that each ranked query belongs to.
    """

    protocol: str
    metrics: dict[str, Any]
    intervals: dict[str, dict[int, Interval]]
    rsum: Interval
    sampled: bool
    clusters: dict[str, list[int]]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary; :func:`compare` reads it."""
        return {
            "protocol": self.protocol,
            "sampled": self.sampled,
            "rsum": self.rsum.to_dict(),
            "intervals": {
                name: {str(k): found.to_dict() for k, found in rows.items()}
                for name, rows in self.intervals.items()
            },
            "clusters": self.clusters,
            **{name: self.metrics[name] for name in DIRECTIONS},
        }


def summarize_accuracy(
    metrics: RetrievalMetrics,
    caption_image: ArrayLike,
    *,
    protocol: str,
    sampled: bool = False,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> AccuracySummary:
    """Return the summary of full-gallery or sampled metrics.

    Full evaluations are bootstrapped over images, both directions together, so that the interval
    of RSUM knows how the directions move with each other. A sample of queries gets Wilson
    intervals for recall, and for RSUM the bootstrap over the images that were sampled.

    Args:
        metrics: both directions; ``queries`` of t2i index into ``caption_image``.
        caption_image: (captions,) image of each caption of the split.
        protocol: name to report.
        sampled: whether the queries are a random sample.
        resamples: bootstrap samples.
        confidence: coverage of the intervals.
        seed: of the draws.
    """
    images = {
        "i2t": metrics.i2t.queries,
        "t2i": np.asarray(caption_image, dtype=np.int64)[metrics.t2i.queries],
    }
    samples = _recall_samples(metrics, images, resamples, seed)
    intervals = {
        name: _intervals(getattr(metrics, name), samples[name], sampled, confidence)
        for name in DIRECTIONS
    }
    total = samples["i2t"].sum(axis=1) + samples["t2i"].sum(axis=1)
    return AccuracySummary(
        protocol=protocol,
        metrics=metrics.to_dict(ranks=True),
        intervals=intervals,
        rsum=interval(metrics.rsum, total, confidence),
        sampled=sampled,
        clusters={name: index.tolist() for name, index in images.items()},
    )


def compare(
    first: Mapping[str, Any], second: Mapping[str, Any], direction: Direction, k: int = 1
) -> PairedDifference:
    """Return the paired difference in R@``k`` of two summaries (as dictionaries).

    Raises:
        ValueError: they rank different queries, so that nothing is paired.
    """
    if first["clusters"][direction] != second["clusters"][direction]:
        raise ValueError("the two systems were evaluated on different queries: nothing is paired")
    return _paired_bootstrap(
        first[direction]["ranks"], second[direction]["ranks"], first["clusters"][direction], k
    )


def _intervals(
    found: DirectionMetrics, samples: FloatArray, sampled: bool, confidence: float
) -> dict[int, Interval]:
    if sampled:
        return {
            k: wilson(int((found.ranks < k).sum()), len(found.ranks), confidence)
            for k in found.recall
        }
    return {
        k: interval(rate, samples[:, column], confidence)
        for column, (k, rate) in enumerate(found.recall.items())
    }


def _recall_samples(
    metrics: RetrievalMetrics, images: Mapping[str, IndexArray], resamples: int, seed: int
) -> dict[str, FloatArray]:
    """Return (resamples, K) recalls per direction when images are drawn with replacement."""
    present = np.unique(np.concatenate([images[name] for name in DIRECTIONS]))
    samples = {}
    for name in DIRECTIONS:
        found: DirectionMetrics = getattr(metrics, name)
        hits = np.where(found.ranks[:, None] < np.asarray(list(found.recall)), 100.0, 0.0)
        place = np.searchsorted(present, images[name])
        columns = [np.bincount(place, column, minlength=len(present)) for column in hits.T]
        sums = np.stack(columns, axis=1).astype(np.float64)
        counts = np.bincount(place, minlength=len(present)).astype(np.float64)
        # The same seed draws the same images in both directions.
        samples[name] = bootstrap_means(sums, counts, resamples=resamples, seed=seed)
    return samples
