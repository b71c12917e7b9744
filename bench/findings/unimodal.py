"""What records say of retrieval within one modality: means over queries, and improvements.

A measure is a number for each query; several seeds enter as its mean over seeds. Resampling is
over images, an image's queries together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.findings.columns import NO_REFERENCE, REFERENCE_ROW, interval_columns
from bench.findings.sections import View
from bench.findings.verdicts import Effect, Outcome, Verdict, one_seed, unknown
from bench.layout import Missing, Value, spread
from bench.records import Kind, Record

REFERENCE = "dual_stream"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of one system.

    Attributes:
        images: (Q,) image of each query. values: (Q,) mean over ``seeds``, percent.
    """

    images: NDArray[np.int64]
    values: NDArray[np.float64]
    seeds: int

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
        low, high: 95 % paired bootstrap interval. p_value: two-sided, of no difference.
    """

    percent: float
    low: float
    high: float
    p_value: float

    def __str__(self) -> str:
        return f"{spread(self.percent, self.low, self.high, '+')} %"


def measure(records: Sequence[Record], table: str, column: str) -> Measure | None:
    """Return ``samples[table][column]`` of a system's records, None where they lack it."""
    tables = [record.samples.get(table, {}) for record in records]
    if not tables or not all(found.get(column) for found in tables):
        return None
    images = np.asarray(tables[0].get("image", tables[0]["query"]), np.int64)
    values = np.mean([found[column] for found in tables], axis=0)
    return Measure(images, values, len(tables))


def improvement(first: Measure, second: Measure) -> Improvement | None:
    """Return the relative difference on the same queries; None against a mean of 0."""
    if second.mean <= 0:
        return None
    from bench.measure.statistics import two_sided  # scipy is slow to import

    one, two = _resampled([first, second]).T
    low, high = np.percentile(100 * (one / np.maximum(two, 1e-9) - 1), [2.5, 97.5])
    percent = 100 * (first.mean / second.mean - 1)
    return Improvement(percent, float(low), float(high), two_sided(one - two))


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
    numbers = (found.percent, found.low, found.high, found.p_value)
    return dict(zip(keys, numbers, strict=True)) | {"improvement_text": str(found)}


def _resampled(measures: Sequence[Measure]) -> NDArray[np.float64]:
    """Return (resamples, measures) means under the same resampled images."""
    from bench.measure.statistics import bootstrap_means, cluster_sums  # scipy is slow to import

    columns = np.stack([found.values for found in measures], axis=1)
    return bootstrap_means(*cluster_sums(columns, measures[0].images))


@dataclass(frozen=True, slots=True)
class UnimodalClaim:
    """An abstract's claim of an improvement within one modality.

    Attributes:
        sentence: its name. percent: the abstract's figure.
        kind: of the records. table, column: the deciding measure. name: how it is called.
    """

    sentence: str
    percent: float
    kind: Kind
    table: str
    column: str
    name: str


def improves(view: View, claim: UnimodalClaim) -> Verdict:
    """Judge whether COOKIE is better than the plain dual-stream, beside the abstract's figure."""
    pair = [
        measure(view.of(claim.kind, system), claim.table, claim.column)
        for system in ("cookie", REFERENCE)
    ]
    ours, theirs = pair
    found = improvement(ours, theirs) if ours and theirs else None
    if ours is None or theirs is None or found is None:
        return unknown(claim.sentence, f"{claim.name} of cookie and dual_stream")
    outcome: Outcome = "undecided"
    if found.low > 0 or found.high < 0:
        outcome = "holds" if found.low > 0 else "does not hold"
    reason = (
        f"{claim.name} {ours.mean:.1f} for COOKIE and {theirs.mean:.1f} for the dual-stream, "
        f"relative improvement {found}; the abstract says {claim.percent:g} %, of a measure and "
        f"data that it does not name{one_seed(min(ours.seeds, theirs.seeds))}."
    )
    unit = f"% {claim.name}"
    effect = Effect(found.percent, unit, found.low, found.high, p_value=found.p_value)
    return Verdict(claim.sentence, outcome, reason, effect)
