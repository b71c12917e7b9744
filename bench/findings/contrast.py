"""What changed between two sides: accuracy on the same queries, ratios of measured times."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bench.findings.differences import Difference, RecallDifference, compare, compare_recalls
from bench.findings.evidence import DIRECTIONS, Evidence, gather
from bench.findings.verdicts import CERTAIN
from bench.records import Record
from cookie.errors import UserError


@dataclass(frozen=True, slots=True)
class Contrast:
    """One measure on both sides.

    Attributes:
        measure: what, with its unit. first: A's value. second: B's.
        change: B - A for a ``difference``, B / A for a ``ratio``.
        low, high: bounds of the change, None where too little was measured. bounds: what they are.
        p_value: two-sided, of no difference; None for a ratio.
        n: what it rests on, in words.
    """

    measure: str
    first: float
    second: float
    change: float
    form: Literal["difference", "ratio"]
    low: float | None = None
    high: float | None = None
    bounds: str = ""
    p_value: float | None = None
    n: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def contrasts(first: Sequence[Record], second: Sequence[Record]) -> list[Contrast]:
    """Return B's changes against A for records of one kind; several are seeds of one system."""
    kind = first[0].cell.kind
    if kind == "accuracy":
        return accuracy(gather(first), gather(second))
    one, two = first[0], second[0]
    if kind == "efficiency":
        return efficiency(one, two)
    if kind == "latency":
        return latency(one, two)
    return training(one, two) if kind == "train" else []


def accuracy(first: Evidence, second: Evidence) -> list[Contrast]:
    """Return the paired differences in RSUM and in every recall on the queries both answered.

    Raises:
        UserError: they answered no common query.
    """
    counts = {name: _shared(first, second, name) for name in DIRECTIONS}
    if not all(counts.values()):
        raise UserError("The two sides answered no common query, so nothing can be paired.")
    total, asked = compare(second, first), f"{counts['i2t']:,} + {counts['t2i']:,} queries"
    recalls = compare_recalls(second, first)
    return [
        _paired("RSUM", total, asked),
        *(_paired(f"{r.direction} R@{r.k}, %", r, f"{r.queries:,} queries") for r in recalls),
    ]


def _paired(measure: str, found: Difference | RecallDifference, n: str) -> Contrast:
    """Return a paired difference whose ``first`` is B and whose ``second`` is A."""
    return Contrast(
        measure,
        found.second,
        found.first,
        found.value,
        "difference",
        found.low,
        found.high,
        CERTAIN,
        found.p_value,
        n,
    )


def _shared(first: Evidence, second: Evidence, direction: str) -> int:
    sides = (set(side.answers[direction].queries.tolist()) for side in (first, second))
    return len(set.intersection(*sides))


def latency(first: Record, second: Record) -> list[Contrast]:
    """Return the ratios of the median query times of the systems that both sides timed."""
    pairs = {name: _samples(first, second, name) for name in first.values["systems"]}
    return [
        _times(f"{name}: median query, s", one, two) for name, (one, two) in pairs.items() if one
    ]


def _samples(first: Record, second: Record, name: str) -> tuple[list[float], list[float]]:
    """Return both sides' times from the long run, else from the common one, else none."""
    for run in ("long", "together"):
        times = [record.samples.get(run, {}).get(name) for record in (first, second)]
        if all(times):
            return times[0], times[1]
    return [], []


def _times(measure: str, first: Sequence[float], second: Sequence[float]) -> Contrast:
    """Return the ratio of two medians of unpaired times."""
    from bench.measure.percentiles import ratio_interval  # scipy takes a second to import

    one, two = statistics.median(first), statistics.median(second)
    found = ratio_interval(second, first)
    return Contrast(
        measure,
        one,
        two,
        two / one,
        "ratio",
        None if found is None else found.low,
        None if found is None else found.high,
        "" if found is None else CERTAIN,
        n=f"{len(first):,} and {len(second):,} times",
    )


def efficiency(first: Record, second: Record) -> list[Contrast]:
    """Return the ratios of time, rate, memory and work; what either side lacks is left out."""
    rows = [_repeats(first, second)]
    if all(record.samples.get("one_query") for record in (first, second)):
        rows.append(
            _times("one query alone, s", first.samples["one_query"], second.samples["one_query"])
        )
    return rows + _plain(first, second, _MEASURED)


def training(first: Record, second: Record) -> list[Contrast]:
    """Return the ratios of what training took."""
    return _plain(first, second, _TRAINED)


def _repeats(first: Record, second: Record) -> Contrast:
    """Return the ratio of full evaluations; few repeats have a range, not an interval."""
    one, two = (record.values["full_evaluation"] for record in (first, second))
    extrapolated = one["extrapolated"] or two["extrapolated"]
    several = min(len(one["repeats"]), len(two["repeats"])) > 1
    return Contrast(
        "full evaluation, s",
        one["seconds"],
        two["seconds"],
        two["seconds"] / one["seconds"],
        "ratio",
        min(two["repeats"]) / max(one["repeats"]) if several else None,
        max(two["repeats"]) / min(one["repeats"]) if several else None,
        "range over repeats" if several else "",
        n=f"{len(one['repeats'])} and {len(two['repeats'])} repeats"
        f"{', extrapolated' if extrapolated else ''}",
    )


_MEASURED: Mapping[str, tuple[str, ...]] = {
    "queries/s": ("throughput", "queries_per_second"),
    "pairs/s": ("full_evaluation", "pairs_per_second"),
    "GPU allocated, bytes": ("memory", "allocated", "peak_bytes"),
    "GPU reserved, bytes": ("memory", "reserved", "peak_bytes"),
    "GPU device, bytes": ("memory", "device_used", "peak_bytes"),
    "peak RSS, bytes": ("memory", "peak_rss", "peak_bytes"),
    "parameters": ("cost", "parameters"),
    "FLOPs a query": ("cost", "flops"),
}
_TRAINED: Mapping[str, tuple[str, ...]] = {
    "training, s": ("seconds",),
    "steps": ("steps",),
    "best validation RSUM": ("best_validation",),
    "trained parameters": ("trainable_parameters",),
}


def _plain(
    first: Record, second: Record, measures: Mapping[str, tuple[str, ...]]
) -> list[Contrast]:
    """Return the ratios of single numbers that both sides have."""
    rows = []
    for measure, path in measures.items():
        one, two = _at(first.values, path), _at(second.values, path)
        if one and two is not None:  # a ratio to 0 says nothing
            rows.append(Contrast(measure, one, two, two / one, "ratio", n="one number each"))
    return rows


def _at(values: Mapping[str, Any], path: Sequence[str]) -> float | None:
    """Return the number at ``path``, None where any part of it is missing."""
    found: Any = values
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return None if found is None else float(found)
