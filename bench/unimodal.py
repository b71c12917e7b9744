"""What records say of retrieval within one modality: means over queries, and improvements.

A measure is a number for each query; several seeds enter as its mean over seeds. Resampling is
over images, an image's queries together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.claims import Outcome, Verdict
from bench.records import Kind, Record
from bench.sections import View


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
    """By how many percent of the second's mean the first is better, with its 95 % interval."""

    percent: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.percent:+.1f} % ({self.low:+.1f} to {self.high:+.1f})"


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
    one, two = _resampled([first, second]).T
    low, high = np.percentile(100 * (one / np.maximum(two, 1e-9) - 1), [2.5, 97.5])
    return Improvement(100 * (first.mean / second.mean - 1), float(low), float(high))


def _resampled(measures: Sequence[Measure]) -> NDArray[np.float64]:
    """Return (resamples, measures) means under the same resampled images."""
    from bench.measure.statistics import bootstrap_means, cluster_sums  # scipy is slow to import

    columns = np.stack([found.values for found in measures], axis=1)
    return bootstrap_means(*cluster_sums(columns, measures[0].images))


@dataclass(frozen=True, slots=True)
class Claim:
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


def improves(view: View, claim: Claim) -> Verdict:
    """Judge whether COOKIE is better than the plain dual-stream, beside the abstract's figure."""
    pair = [
        measure(view.of(claim.kind, system), claim.table, claim.column)
        for system in ("cookie", "dual_stream")
    ]
    ours, theirs = pair
    found = improvement(ours, theirs) if ours and theirs else None
    if ours is None or theirs is None or found is None:
        reason = f"this section lacks {claim.name} of cookie and dual_stream."
        return Verdict(claim.sentence, "undecided", reason)
    outcome: Outcome = "undecided"
    if found.low > 0 or found.high < 0:
        outcome = "holds" if found.low > 0 else "does not hold"
    reason = (
        f"{claim.name} {ours.mean:.1f} for COOKIE and {theirs.mean:.1f} for the dual-stream, "
        f"relative improvement {found}; the abstract says {claim.percent:g} %, of a measure and "
        f"data that it does not name{_seeds(ours, theirs)}."
    )
    return Verdict(claim.sentence, outcome, reason)


def _seeds(ours: Measure, theirs: Measure) -> str:
    if min(ours.seeds, theirs.seeds) > 1:
        return ""
    return "; one seed, so the spread between trainings is not in the interval"
