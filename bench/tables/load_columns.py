"""What a section's load records say, as columns of a table: the rates that a system serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.effort import LIMIT_S, MAX_BATCH, TESTING
from bench.layout import AtLeast, Marked, Missing, Value, duration
from bench.systems import systems

if TYPE_CHECKING:
    from bench.findings.sections import View

LOADLESS = "The system answers no queries from a prepared gallery, so it is not put under load."
EARLIER = (
    "Found by an earlier search, whose queries arrived more slowly than asked; shown is the rate "
    "at which they arrived."
)
UNMISSED = "No rate that was tried missed the limit, so the highest may lie above."


def load_columns(view: View, name: str) -> dict[str, Value]:
    """Return the rates that a system serves, if they were measured for the headings' bounds."""
    keys, record = ("closed_one", "closed_batched", "highest_rate"), view.one("load", name)
    if record is None:
        known = "load" in systems[name].kinds
        reason = "Not measured under load in this section yet." if known else LOADLESS
        return dict.fromkeys(keys, view.missing("load", name, reason))
    values = record.values
    if (values["limit_s"], values["max_batch"]) != (LIMIT_S, MAX_BATCH):
        return dict.fromkeys(keys, Missing("Measured for other bounds than the headings name."))
    closed = [_known(values["closed"][loop]) for loop in ("one", "batched")]
    return dict(zip(keys, [*closed, _highest(values["open"])], strict=True))


def _known(found: Mapping[str, Any]) -> Value:
    return Missing(found["reason"]) if found["rate"] is None else found["rate"]


def _highest(found: Mapping[str, Any]) -> Value:
    """Return the highest rate that kept to the limit, with all that speaks against it."""
    rate = found["rate"]
    if rate is None:
        return Missing(found["reason"])
    probe = next(probe for probe in found["probes"] if probe["offered_rate"] == rate)
    early, remarks = "at_least" not in found, list[str]()
    if early:
        rate, remarks = arrived_when_gaps_were_summed(rate, probe["latency"]["n"]), [EARLIER]
    if probe["seconds"] < TESTING * found["limit_s"]:
        remarks.append(_too_short(probe["seconds"], found["limit_s"]))
    if probe["offered_rate"] == max(other["offered_rate"] for other in found["probes"]):
        rate, remarks = AtLeast(rate), [*remarks, UNMISSED]
    return Marked(rate, " ".join(remarks)) if remarks else rate


def _too_short(seconds: float, limit_s: float) -> str:
    return (
        f"The open loop at this rate lasted {duration(seconds)}, so the limit of "
        f"{duration(limit_s)} was hardly tested: that takes {duration(TESTING * limit_s)}."
    )


def arrived_when_gaps_were_summed(asked: float, count: int) -> float:
    """Return the rate at which an early record's queries arrived, of which it tells what was asked.

    Their gaps were drawn with seed 0 in every loop and summed as drawn; those of 500 queries are
    1.096 times as long as they should be.
    """
    return asked / float(np.random.default_rng(0).exponential(1.0, count).mean())
