"""Table 2: efficiency against accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.claims import per_mille, verdicts
from bench.evidence import Evidence
from bench.layout import (
    Column,
    Grid,
    Marked,
    Missing,
    Value,
    duration,
    fixed,
    mebibytes,
    scaled,
    significant,
)
from bench.plan import cells_of
from bench.plots import Panel, Point, pareto
from bench.published import published_grid, published_section
from bench.records import Cell
from bench.systems import systems
from bench.tables import Block, Table, lay_out, register
from bench.tables.table_1 import accuracy_columns, queries

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.sections import View

ROWS = (
    "ridge_floor",
    "dual_stream",
    "cookie",
    "single_stream",
    "single_stream_naive",
    "two_stage",
)
VARIANTS = ("dual_stream_triplet",)
REFERENCE = "single_stream"
_EXTRAPOLATED = "Extrapolated from measured pairs/s (in a ratio: at least one of the two times is)."

SYSTEM = Column("system", "system", align="left")
SPEED = (
    SYSTEM,
    Column("rsum", "RSUM (95 % interval)"),
    Column("i2t_r1", "i2t R@1", fixed(1)),
    Column("t2i_r1", "t2i R@1", fixed(1)),
    Column("queries", "queries"),
    Column("evaluation_s", "full evaluation", duration),
    Column("per_mille", "‰ of single-stream", significant),
    Column("p50_s", "p50", duration),
    Column("p95_s", "p95", duration),
    Column("p99_s", "p99", duration),
    Column("latency_n", "n"),
    Column("queries_per_second", "queries/s", significant),
    Column("pairs_per_second", "pairs/s", significant),
)
MEMORY = (
    SYSTEM,
    Column("allocated_bytes", "GPU allocated, MiB", mebibytes),
    Column("reserved_bytes", "GPU reserved, MiB", mebibytes),
    Column("device_bytes", "GPU device, MiB", mebibytes),
    Column("peak_rss_bytes", "peak RSS, MiB", mebibytes),
    Column("parameters", "parameters", lambda value: scaled(value, "").strip()),
    Column("flops_per_query", "FLOPs a query", lambda value: scaled(value, "FLOP")),
    Column("share_of_peak", "share of peak", lambda value: f"{100 * value:.3g} %"),
)
TRAINING = (
    SYSTEM,
    Column("steps", "steps"),
    Column("seconds", "training", lambda text: text),
    Column("best_step", "best at step", lambda text: text),
    Column("trainable", "trained parameters", lambda value: scaled(value, "").strip()),
)


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs."""
    rows = ROWS + (VARIANTS if variants else ())
    return cells_of(rows, seeds, ("train", "accuracy", "efficiency", "latency"))


def has_rows(view: View) -> bool:
    """Whether the speed of anything is known."""
    return any(record.cell.kind in ("efficiency", "latency") for record in view.records)


def block(view: View) -> Block:
    """Lay out one section: accuracy and speed, memory and work, training."""
    rows = [_row(view, name) for name in view.rows]
    measured = [row for name, row in zip(view.rows, rows, strict=True) if _timed(view, name)]
    printed = [row | {"rsum": row["rsum_text"]} for row in rows]
    grids = [
        Grid(SPEED, printed),
        Grid(MEMORY, measured, "Memory and work"),
        Grid(TRAINING, training_rows(view), "Training"),
    ]
    plain = [{k: v for k, v in row.items() if k != "rsum_text"} for row in rows]
    return lay_out(grids, plain, verdicts(view))


def _timed(view: View, name: str) -> bool:
    return view.one("efficiency", name) is not None


def _row(view: View, name: str) -> dict[str, Value]:
    return {
        "system": _labelled(name),
        **_accuracy(view, name),
        **_evaluation(view, name),
        **_latency(view, name),
        **_throughput(view, name),
        **_memory(view, name),
        **_work(view, name),
    }


def _labelled(name: str) -> Value:
    system = systems[name]
    return Marked(system.label, system.note) if system.note else system.label


def _missing(view: View, name: str) -> Missing:
    """Say why a system has no measurement of speed."""
    if "efficiency" in systems[name].kinds:
        return Missing("Not measured in this section yet.")
    return Missing("Speed is not measured for this row.")


def _accuracy(view: View, name: str) -> dict[str, Value]:
    keys = ("rsum", "rsum_low", "rsum_high", "i2t_r1", "t2i_r1", "rsum_text", "queries")
    evidence = view.evidence(name)
    if evidence is None:
        same = "accuracy" not in systems[name].kinds
        reason = "Accuracy is that of the row above." if same else "Not evaluated here yet."
        return dict.fromkeys(keys, Missing(reason))
    low, high = evidence.rsum_interval
    recalls = accuracy_columns(evidence)
    return {
        "rsum": evidence.rsum,
        "rsum_low": low,
        "rsum_high": high,
        "i2t_r1": recalls["i2t_r1"],
        "t2i_r1": recalls["t2i_r1"],
        "rsum_text": _rsum_text(view, name, evidence, low, high),
        "queries": queries(view, name, evidence),
    }


def _rsum_text(view: View, name: str, evidence: Evidence, low: float, high: float) -> Value:
    """Print RSUM; a spread between its tie bounds is a remark."""
    text = f"{evidence.rsum:.1f} ({low:.1f} to {high:.1f})"
    records = view.of("accuracy", name)
    bounds = [tie_bounds(record.values["metrics"]) for record in records]
    if all(high_bound - low_bound < 0.05 for low_bound, high_bound in bounds):
        return text
    worst, best = min(low for low, _ in bounds), max(high for _, high in bounds)
    return Marked(text, f"Equal scores: RSUM lies between {worst:.1f} and {best:.1f}.")


def tie_bounds(metrics: Mapping[str, Any]) -> tuple[float, float]:
    """Return RSUM with every tie broken against and for the positive."""
    sides = [
        sum(sum(metrics[direction][side].values()) for direction in ("i2t", "t2i"))
        for side in ("pessimistic", "optimistic")
    ]
    return sides[0], sides[1]


def _evaluation(view: View, name: str) -> dict[str, Value]:
    record, reference = view.one("efficiency", name), view.one("efficiency", REFERENCE)
    if record is None:
        missing = _missing(view, name)
        return {"evaluation_s": missing, "per_mille": missing, "pairs_per_second": missing}
    full = record.values["full_evaluation"]
    ratio: Value = Missing("The single-stream's speed is not measured in this section yet.")
    if reference is not None:
        other = reference.values["full_evaluation"]
        either = {"extrapolated": full["extrapolated"] or other["extrapolated"]}
        ratio = _marked(per_mille(full, other).value, either)
    return {
        "evaluation_s": _marked(full["seconds"], full),
        "per_mille": ratio,
        "pairs_per_second": _pairs(full),
    }


def _marked(value: float, full: Mapping[str, Any]) -> Value:
    if not full["extrapolated"]:
        return value
    return Marked(
        value,
        "Extrapolated from measured pairs/s: of this row, or of the single-stream in a ratio.",
    )


def _pairs(full: Mapping[str, Any]) -> Value:
    rate = full["pairs_per_second"]
    return Missing("Two encoders score no pairs.") if rate is None else rate


def _latency(view: View, name: str) -> dict[str, Value]:
    record = view.latency
    keys = ("p50_s", "p95_s", "p99_s")
    if record is None or name not in record.values["systems"]:
        missing = Missing("Query latency is not measured for this row.")
        return dict.fromkeys((*keys, "latency_n"), missing)
    found = record.values["systems"][name]
    values = {f"{key}_s": enough(found[key]) for key in ("p50", "p95", "p99")}
    return {**values, "latency_n": found["n"]}


def enough(value: float | None) -> Value:
    """Return a percentile, or why there is none."""
    reason = "Too few samples (n) to state this percentile: p95 needs 90, p99 459."
    return Missing(reason) if value is None else value


def _throughput(view: View, name: str) -> dict[str, Value]:
    record = view.one("efficiency", name)
    if record is None:
        return {"queries_per_second": _missing(view, name)}
    found = record.values["throughput"]
    rate = found["queries_per_second"]
    return {"queries_per_second": Missing(found["reason"]) if rate is None else rate}


def _memory(view: View, name: str) -> dict[str, Value]:
    names = {
        "allocated_bytes": "allocated",
        "reserved_bytes": "reserved",
        "device_bytes": "device_used",
        "peak_rss_bytes": "peak_rss",
    }
    record = view.one("efficiency", name)
    if record is None:
        return dict.fromkeys(names, _missing(view, name))
    memory = record.values["memory"]
    return {key: _column(memory[column]) for key, column in names.items()}


def _column(column: Mapping[str, Any]) -> Value:
    peak = column["peak_bytes"]
    return Missing(_sentence(column["reason"])) if peak is None else peak


def _sentence(reason: str | None) -> str:
    text = (reason or "not read").rstrip(".")
    return (text[:1].upper() + text[1:]).replace("Cpu", "CPU").replace("cpu", "CPU") + "."


def _work(view: View, name: str) -> dict[str, Value]:
    record = view.one("efficiency", name)
    if record is None:
        return dict.fromkeys(
            ("parameters", "flops_per_query", "share_of_peak"), _missing(view, name)
        )
    cost = record.values["cost"]
    share = cost["share_of_compute"]
    missing = Missing("The matrix product peak or the time of a query is not known.")
    return {
        "parameters": cost["parameters"],
        "flops_per_query": cost["flops"],
        "share_of_peak": missing if share is None else share,
    }


def training_rows(view: View) -> list[dict[str, Value]]:
    """Return what training took, one row a trained system; several seeds are listed."""
    names = [n for n in systems if view.of("train", n) and not systems[n].variant]
    return [_training_row(view, name) for name in names]


def _training_row(view: View, name: str) -> dict[str, Value]:
    records = view.of("train", name)
    values = [record.values for record in records]
    return {
        "system": systems[name].label,
        "steps": values[0]["steps"],
        "seconds": _each(values, "seconds", duration),
        "best_step": _each(values, "best_step", str),
        "trainable": values[0]["trainable_parameters"],
    }


def _each(values: Sequence[Mapping[str, Any]], key: str, write: Callable[[Any], str]) -> str:
    return ", ".join(write(value[key]) for value in values)


def plot(views: Sequence[View]) -> Figure | None:
    """Return RSUM against the median time of a text query, one panel a section."""
    panels = [Panel(_title(view), _points(view)) for view in views]
    drawn = [panel for panel in panels if panel.points]
    label = "median time of one text query against the prepared gallery, ms"
    return pareto(drawn, label) if drawn else None


def _title(view: View) -> str:
    section = view.section
    return f"{section.preset}, {section.regime}, {section.hardware}"


def _points(view: View) -> tuple[Point, ...]:
    record = view.latency
    times = record.values["systems"] if record else {}
    found = [(name, view.evidence(name)) for name in view.rows if name in times]
    return tuple(
        Point(
            systems[name].label,
            systems[name].marker,
            times[name]["p50"],
            evidence.rsum,
            *evidence.rsum_interval,
        )
        for name, evidence in found
        if evidence is not None
    )


register(
    Table(
        number="2",
        title="Efficiency against accuracy",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        tail=published_section,
        appendix=lambda: [published_grid()],
        columns=(
            "**full evaluation**: all images x all captions in both directions, from pixels and "
            "token ids, weights loaded; **‰** is per mille of the single-stream's.",
            "**p50, p95, p99** (n samples): one text query against the prepared image gallery, "
            "from token ids to the best ten; systems are measured in turns.",
            "**queries/s**: the same at the best batch size, measured and never 1/latency; "
            "**pairs/s**: of systems that score pairs.",
            "**GPU allocated, reserved, device; peak RSS**: of a fresh process that answers "
            "queries; four questions, four columns.",
            "**FLOPs a query**: matrix products and convolutions; **share of peak**: of this "
            "machine's measured matrix product rate that one query reaches.",
        ),
    )
)
