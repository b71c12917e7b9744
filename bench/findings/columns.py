"""Columns that several tables share, and the values that records put into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.findings.evidence import DIRECTIONS, KS, Evidence
from bench.layout import Column, Marked, Missing, Value, duration, scaled, significant, spread

SYSTEM = Column("system", "system", align="left")
PERCENTILES = (
    Column("p50_s", "p50", duration),
    Column("p95_s", "p95", duration),
    Column("p99_s", "p99", duration),
    Column("n", "n"),
)
FULL_EVALUATION = (
    Column("evaluation_s", "full evaluation", duration),
    Column("per_mille", "‰ of single-stream", significant),
)
REFERENCE_ROW = Missing("The dual-stream is what the others are compared with.")
NO_REFERENCE = Missing("The dual-stream is not measured in this section yet.")


def count(value: float) -> str:
    """Return a number of parameters with its decimal prefix."""
    return scaled(value, "").strip()


def share(value: float) -> str:
    """Return a share in percent."""
    return f"{100 * value:.3g} %"


def p_value(value: float) -> str:
    """Return a p-value in two digits."""
    return f"{value:.2g}"


def interval_columns(key: str, value: float, low: float, high: float) -> dict[str, Value]:
    """Return a value with its bounds under ``key``, and all three as they are printed."""
    return {
        key: value,
        f"{key}_low": low,
        f"{key}_high": high,
        f"{key}_text": spread(value, low, high),
    }


def rsum_columns(evidence: Evidence) -> dict[str, Value]:
    """Return RSUM with its interval."""
    return interval_columns("rsum", evidence.rsum, *evidence.rsum_interval)


def accuracy_columns(evidence: Evidence) -> dict[str, float]:
    """Return R@K of both directions in percent, keyed ``i2t_r1`` and so on."""
    return {f"{d}_r{k}": evidence.recall(d, k) for d in DIRECTIONS for k in KS}


def asked(evidence: Evidence) -> str:
    """Return how many image and caption queries were asked."""
    return " + ".join(f"{len(evidence.answers[d].queries):,}" for d in DIRECTIONS)


def percentile_columns(found: Mapping[str, Any]) -> dict[str, Value]:
    """Return the percentiles of a query's time in seconds, and of how many samples."""
    times = {f"{key}_s": enough(found[key]) for key in ("p50", "p95", "p99")}
    return {**times, "n": found["n"]}


def enough(value: float | None) -> Value:
    """Return a percentile, or why there is none."""
    reason = "Too few samples (n) to state this percentile: p95 needs 90, p99 459."
    return Missing(reason) if value is None else value


def by_pair_rate(value: float, *, extrapolated: bool) -> Value:
    """Return a time or a ratio of times, marked where not all pairs were scored for it."""
    if not extrapolated:
        return value
    return Marked(
        value,
        "Extrapolated from measured pairs/s: of this row, or of the single-stream in a ratio.",
    )


def reached(of_peak: float) -> Value:
    """Return a share of a measured peak, marked where it is more than the whole."""
    if of_peak <= 1:
        return of_peak
    return Marked(
        of_peak,
        "More than the whole: the data stayed in a cache, or the peak was measured while something "
        "else held the machine; the share says nothing.",
    )


def peak(column: Mapping[str, Any]) -> Value:
    """Return one column of a memory measurement in bytes, or why it could not be read."""
    found = column["peak_bytes"]
    return Missing(_sentence(column["reason"])) if found is None else found


def _sentence(reason: str | None) -> str:
    text = (reason or "not read").rstrip(".")
    return (text[:1].upper() + text[1:]).replace("Cpu", "CPU").replace("cpu", "CPU") + "."
