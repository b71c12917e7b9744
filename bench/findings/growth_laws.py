"""How a query's time grows with the gallery: medians by size, and power laws through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.findings.columns import SYSTEM
from bench.findings.verdicts import Finding
from bench.layout import Column, Missing, Value
from bench.systems import systems

if TYPE_CHECKING:
    from bench.findings.sections import View
    from bench.measure.exponent import PowerLaw
    from bench.records import Record

SEARCH = "search"
SEARCH_LABEL = "search alone"
EXPONENTS = (
    SYSTEM,
    Column("points", "sizes"),
    Column("exponent", "exponent", lambda value: f"{value:z.2f}"),
    Column("interval", "95 % interval"),
    Column("local", "between the last two", lambda value: f"{value:z.2f}"),
)


def grown(view: View) -> list[Record]:
    """Return the growth records of the first seed, the smallest gallery first."""
    found = [record for record in view.records if record.cell.kind == "growth"]
    first = min((record.cell.seed for record in found), default=0)
    return sorted(
        (r for r in found if r.cell.seed == first), key=lambda record: record.cell.gallery
    )


def label(name: str) -> str:
    """Return what a system, or the search alone, is called."""
    return SEARCH_LABEL if name == SEARCH else systems[name].label


def medians(records: Sequence[Record], name: str) -> list[tuple[int, float, bool]]:
    """Return gallery size, median seconds and whether it is extrapolated."""
    kept = [r.values for r in records if "storage" in r.values]
    found = [
        (v["gallery"], v["search"] if name == SEARCH else v["systems"].get(name)) for v in kept
    ]
    return [
        (size, values["p50"], bool(values.get("extrapolated"))) for size, values in found if values
    ]


def law(records: Sequence[Record], name: str) -> PowerLaw | None:
    """Fit what was measured, in galleries that are kept as the smallest one is."""
    from bench.measure.exponent import fit_power_law  # scipy takes a second to import

    kept = [r for r in records if "storage" in r.values]
    alike = [r for r in kept if r.values["storage"] == kept[0].values["storage"]]
    points = [(size, p50) for size, p50, hollow in medians(alike, name) if not hollow]
    return fit_power_law([size for size, _ in points], [p50 for _, p50 in points])


def law_row(name: str, law: PowerLaw | None) -> dict[str, Value]:
    """Return a row of :data:`EXPONENTS`."""
    keys = ("exponent", "interval", "local")
    if law is None:
        reason = "Fewer than two sizes were measured in full."
        return {"system": label(name), "points": 0, **dict.fromkeys(keys, Missing(reason))}
    few = Missing("Two sizes leave nothing to judge the fit by.")
    return {
        "system": label(name),
        "points": law.points,
        "exponent": law.exponent,
        "interval": few if law.low is None else f"{law.low:z.2f} to {law.high:z.2f}",
        "local": law.local,
    }


def growth_finding(laws: Mapping[str, PowerLaw | None]) -> Finding:
    """Return the exponents in one sentence."""
    parts = [f"{label(name)} {_words(law)}" for name, law in laws.items() if law is not None]
    text = "; ".join(parts) if parts else "fewer than two gallery sizes were measured"
    return Finding("Growth of a query's median time with the gallery", f"{text}.")


def _words(law: PowerLaw) -> str:
    interval = "" if law.low is None else f" (95 % interval {law.low:z.2f} to {law.high:z.2f})"
    return f"exponent {law.exponent:z.2f}{interval}, {law.local:z.2f} between the last two sizes"
