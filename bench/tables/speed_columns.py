"""What a section's records say of a system's speed, memory and work, as columns of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bench.findings.columns import by_pair_rate, peak, percentile_columns, reached
from bench.findings.inference_time import in_turns, per_mille, per_mille_of_rounds
from bench.layout import Marked, Missing, Value
from bench.records import EVERY_SYSTEM
from bench.systems import compiled_name, systems
from bench.tables.load_columns import load_columns

if TYPE_CHECKING:
    from bench.findings.inference_time import Ratio
    from bench.findings.sections import View

REFERENCE = "single_stream"
TURNS = "The median over rounds in which both took turns, and not of the times in these rows."
APART = "Timed one after the other and not in turns, so the machine's drift is in the ratio."
MEMORY = {
    "allocated_bytes": "allocated",
    "reserved_bytes": "reserved",
    "device_bytes": "device_used",
    "peak_rss_bytes": "peak_rss",
}
"""Column -> what a record calls it."""


def speed_columns(view: View, name: str) -> dict[str, Value]:
    """Return every column of a system but its accuracy; what is not known says why."""
    return {
        **_latency(view, name),
        **_evaluation(view, name),
        **_one_query(view, name),
        **_throughput(view, name),
        **load_columns(view, name),
        **_memory(view, name),
        **_work(view, name),
    }


def _missing(view: View, name: str) -> Missing:
    """Say why a system has no measurement of speed."""
    if "efficiency" in systems[name].kinds:
        return view.missing("efficiency", name, "Not measured in this section yet.")
    return Missing("Speed is not measured for this row.")


def _evaluation(view: View, name: str) -> dict[str, Value]:
    against = compiled_name(REFERENCE) if systems[name].compiled else REFERENCE
    record, reference = view.one("efficiency", name), view.one("efficiency", against)
    if record is None:
        return dict.fromkeys(
            ("evaluation_s", "per_mille", "pairs_per_second"), _missing(view, name)
        )
    full = record.values["full_evaluation"]
    ratio: Value = Missing("The single-stream's speed is not measured in this section yet.")
    if {name, against} <= (together := in_turns(view)).keys():
        ratio = _related(per_mille_of_rounds, together[name], together[against])
        ratio = ratio if name == against else _remarked(ratio, TURNS)
    elif reference is not None:
        ratio = _related(per_mille, full, reference.values["full_evaluation"])
        ratio = _apart(ratio, view, name, against) if together else ratio
    return {
        "evaluation_s": by_pair_rate(full["seconds"], extrapolated=full["extrapolated"]),
        "per_mille": ratio,
        "pairs_per_second": _pairs(full),
    }


def _related(
    relate: Callable[[Mapping[str, Any], Mapping[str, Any]], Ratio],
    full: Mapping[str, Any],
    other: Mapping[str, Any],
) -> Value:
    either = full["extrapolated"] or other["extrapolated"]
    return by_pair_rate(relate(full, other).value, extrapolated=either)


def _apart(ratio: Value, view: View, *names: str) -> Marked:
    """Mark a ratio of times that were not taken in turns, in a section where others were."""
    record = view.evaluations
    left_out = {} if record is None else record.values["left_out"]
    return _remarked(ratio, APART, *(left_out[name] for name in names if name in left_out))


def _remarked(ratio: Value, *remarks: str) -> Marked:
    """Return a ratio with ``remarks`` before the one that it may have."""
    if isinstance(ratio, Marked):
        return Marked(ratio.value, " ".join((*remarks, ratio.remark)))
    return Marked(ratio, " ".join(remarks))


def _pairs(full: Mapping[str, Any]) -> Value:
    rate = full["pairs_per_second"]
    return Missing("Two encoders score no pairs.") if rate is None else rate


def _latency(view: View, name: str) -> dict[str, Value]:
    record = view.latency
    if record is None or name not in record.values["systems"]:
        unmeasured = "Query latency is not measured for this row."
        if record is not None:
            unmeasured = record.values.get("left_out", {}).get(name, unmeasured)
        missing = view.missing("latency", EVERY_SYSTEM, unmeasured)
        return dict.fromkeys(("p50_s", "p95_s", "p99_s", "n"), missing)
    return percentile_columns(record.values["systems"][name])


def _one_query(view: View, name: str) -> dict[str, Value]:
    """Return request and kernel time of one query; nothing where no GPU was asked."""
    record = view.one("efficiency", name)
    found = {} if record is None else record.values.get("one_query", {})
    if not found.get("kernel"):
        return {}
    request, kernel = found["request"]["p50"], found["kernel"]["p50"]
    return {"request_s": request, "kernel_s": kernel, "kernel_share": kernel / request}


def _throughput(view: View, name: str) -> dict[str, Value]:
    record = view.one("efficiency", name)
    if record is None:
        return {"queries_per_second": _missing(view, name)}
    found = record.values["throughput"]
    rate = found["queries_per_second"]
    return {"queries_per_second": Missing(found["reason"]) if rate is None else rate}


def _memory(view: View, name: str) -> dict[str, Value]:
    record = view.one("efficiency", name)
    if record is None:
        return dict.fromkeys(MEMORY, _missing(view, name))
    memory = record.values["memory"]
    return {key: peak(memory[column]) for key, column in MEMORY.items()}


def _work(view: View, name: str) -> dict[str, Value]:
    record = view.one("efficiency", name)
    if record is None:
        return dict.fromkeys(
            ("parameters", "flops_per_query", "share_of_peak"), _missing(view, name)
        )
    cost = record.values["cost"]
    part = cost["share_of_compute"]
    missing = Missing("The matrix product peak or the time of a query is not known.")
    return {
        "parameters": cost["parameters"],
        "flops_per_query": cost["flops"],
        "share_of_peak": missing if part is None else reached(part),
    }
