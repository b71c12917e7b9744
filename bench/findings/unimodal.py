"""What records say of retrieval within one modality: means over queries, and improvements.

A measure is a number for each query; several seeds enter as its mean over seeds. Resampling is
over images, an image's queries together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.findings.columns import NO_REFERENCE, REFERENCE_ROW, interval_columns
from bench.findings.sections import View
from bench.findings.seed_contrasts import larger, wider
from bench.layout import Missing, Value, spread
from bench.records import Kind, Record

if TYPE_CHECKING:
    from bench.measure.statistics import SeedSpread

REFERENCE = "dual_stream"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of one system.

    Attributes:
        images: (Q,) image of each query. values: (Q,) mean over seeds, percent.
        by_seed: mean over queries of each seed, percent.
    """

    images: NDArray[np.int64]
    values: NDArray[np.float64]
    by_seed: Mapping[int, float]

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(self.by_seed)

    @property
    def mean(self) -> float:
        """Over the queries."""
        return float(self.values.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of :attr:`mean` over images."""
        low, high = np.percentile(_resampled([self])[:, 0], [2.5, 97.5])
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Improvement:
    """By how many percent of the second's mean the first is better.

    Attributes:
        low, high: 95 % paired bootstrap interval over images.
        p_of_images: two-sided, of no difference, by the same bootstrap.
        seeds: that both have. by_seed: mean of their improvements with Student's interval; None
            for fewer than two.
    """

    percent: float
    low: float
    high: float
    p_of_images: float
    seeds: int
    by_seed: SeedSpread | None

    @property
    def bounds(self) -> tuple[float, float]:
        """Whichever of the 95 % intervals, over images or over seeds, reaches further each way."""
        return wider(self.low, self.high, self.by_seed)

    @property
    def p_value(self) -> float:
        """The larger of both p-values, of no difference over images and over seeds."""
        return larger(self.p_of_images, self.by_seed)

    def __str__(self) -> str:
        return f"{spread(self.percent, *self.bounds, '+')} %"


def measure(records: Sequence[Record], table: str, column: str) -> Measure | None:
    """Return ``samples[table][column]`` of a system's records, None where they lack it."""
    tables = [record.samples.get(table, {}) for record in records]
    if not tables or not all(found.get(column) for found in tables):
        return None
    images = np.asarray(tables[0].get("image", tables[0]["query"]), np.int64)
    values = np.array([found[column] for found in tables])  # (seeds, Q)
    seeds = (record.cell.seed for record in records)
    by_seed = dict(zip(seeds, values.mean(axis=1).tolist(), strict=True))
    return Measure(images, values.mean(axis=0), by_seed)


def improvement(first: Measure, second: Measure) -> Improvement | None:
    """Return the relative difference on the same queries; None against a mean of 0."""
    if second.mean <= 0:
        return None
    from bench.measure.statistics import seed_spread, two_sided  # scipy is slow to import

    one, two = _resampled([first, second]).T
    low, high = np.percentile(100 * (one / np.maximum(two, 1e-9) - 1), [2.5, 97.5])
    shared = [seed for seed in first.by_seed if second.by_seed.get(seed, 0.0) > 0]
    gains = [100 * (first.by_seed[seed] / second.by_seed[seed] - 1) for seed in shared]
    return Improvement(
        percent=100 * (first.mean / second.mean - 1),
        low=float(low),
        high=float(high),
        p_of_images=two_sided(one - two),
        seeds=len(gains),
        by_seed=seed_spread(gains) if len(gains) > 1 else None,
    )


def measure_columns(
    records: Sequence[Record], table: str, column: str, gap: str
) -> dict[str, Value]:
    """Return a measure with its interval as columns; ``gap`` says why there may be none."""
    found = measure(records, table, column)
    if found is None:
        keys = (column, f"{column}_low", f"{column}_high", f"{column}_text")
        return dict.fromkeys(keys, Missing(gap))
    return interval_columns(column, found.mean, *found.interval)


def improvement_columns(
    view: View, kind: Kind, name: str, table: str, column: str
) -> dict[str, Value]:
    """Return by how much a system is better than the plain dual-stream, as columns."""
    keys = ("improvement", "improvement_low", "improvement_high", "improvement_p")
    one, two = (measure(view.of(kind, system), table, column) for system in (name, REFERENCE))
    found = improvement(one, two) if one and two and name != REFERENCE else None
    if found is None:
        gap = REFERENCE_ROW if name == REFERENCE else NO_REFERENCE
        return dict.fromkeys((*keys, "improvement_text"), gap)
    numbers = (found.percent, *found.bounds, found.p_value)
    return dict(zip(keys, numbers, strict=True)) | {"improvement_text": str(found)}


def _resampled(measures: Sequence[Measure]) -> NDArray[np.float64]:
    """Return (resamples, measures) means under the same resampled images."""
    from bench.measure.statistics import bootstrap_means, cluster_sums  # scipy is slow to import

    columns = np.stack([found.values for found in measures], axis=1)
    return bootstrap_means(*cluster_sums(columns, measures[0].images))
