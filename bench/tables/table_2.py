"""Table 2: efficiency against accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.effort import LIMIT_S, MAX_BATCH
from bench.findings.claims import verdicts
from bench.findings.columns import (
    FULL_EVALUATION,
    PERCENTILES,
    SYSTEM,
    accuracy_columns,
    count,
    rsum_columns,
    share,
)
from bench.layout import (
    Column,
    Grid,
    Marked,
    Value,
    bounded,
    duration,
    fixed,
    mebibytes,
    scaled,
    significant,
)
from bench.plan import cells_of
from bench.plots.pareto import Panel, Point, pareto
from bench.published import published_grid
from bench.records import Cell, Kind
from bench.systems import systems
from bench.tables import Block, Table, lay_out, register
from bench.tables.speed_columns import speed_columns
from bench.tables.table_1 import queries
from bench.tables.training_grid import training_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.findings.sections import View

ROWS = (
    "ridge_floor",
    "dual_stream",
    "cookie",
    "cookie_compiled",
    "single_stream",
    "single_stream_compiled",
    "single_stream_naive",
    "two_stage",
)
VARIANTS = ("dual_stream_triplet",)
KINDS: tuple[Kind, ...] = (
    "train",
    "accuracy",
    "efficiency",
    "evaluations",
    "latency",
    "load",
)

SPEED = (
    SYSTEM,
    Column("rsum_text", "RSUM (95 % interval)"),
    Column("i2t_r1", "i2t R@1", fixed(1)),
    Column("t2i_r1", "t2i R@1", fixed(1)),
    Column("queries", "queries"),
    *FULL_EVALUATION,
    *PERCENTILES,
    Column("queries_per_second", "queries/s", significant),
    Column("pairs_per_second", "pairs/s", significant),
)
MEMORY = (
    SYSTEM,
    Column("allocated_bytes", "GPU allocated, MiB", mebibytes),
    Column("reserved_bytes", "GPU reserved, MiB", mebibytes),
    Column("device_bytes", "GPU device, MiB", mebibytes),
    Column("peak_rss_bytes", "peak RSS, MiB", mebibytes),
    Column("parameters", "parameters", count),
    Column("flops_per_query", "FLOPs a query", lambda value: scaled(value, "FLOP")),
    Column("share_of_peak", "share of peak", share),
)
ON_THE_DEVICE = (
    SYSTEM,
    Column("request_s", "one query, request", duration),
    Column("kernel_s", "one query, on the GPU", duration),
    Column("kernel_share", "share of the request", share),
)
LOAD = (
    SYSTEM,
    Column("closed_one", "closed loop, one by one, queries/s", significant),
    Column("closed_batched", f"closed loop, up to {MAX_BATCH} at once, queries/s", significant),
    Column("highest_rate", f"highest rate at p99 ≤ {duration(LIMIT_S)}, queries/s", bounded),
)


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs."""
    rows = ROWS + (VARIANTS if variants else ())
    return cells_of(rows, seeds, KINDS)


def has_rows(view: View) -> bool:
    """Whether the speed of anything is known."""
    return any(record.cell.kind in ("efficiency", "latency") for record in view.records)


def block(view: View) -> Block:
    """Lay out one section: accuracy and speed, memory and work, training."""
    rows = [_row(view, name) for name in view.rows]
    measured = [row for name, row in zip(view.rows, rows, strict=True) if _timed(view, name)]
    loaded = [row for name, row in zip(view.rows, rows, strict=True) if _serves(name)]
    on_gpu = [row for row in rows if "kernel_s" in row]
    grids = [
        Grid(SPEED, rows),
        *([Grid(ON_THE_DEVICE, on_gpu, "Request and kernel time")] if on_gpu else []),
        Grid(MEMORY, measured, "Memory and work"),
        Grid(LOAD, loaded, "Under load"),
        training_grid(view),
    ]
    return lay_out(grids, rows, verdicts(view))


def _timed(view: View, name: str) -> bool:
    return view.one("efficiency", name) is not None


def _serves(name: str) -> bool:
    return "load" in systems[name].kinds


def _row(view: View, name: str) -> dict[str, Value]:
    return {
        "system": _labelled(name),
        **_accuracy(view, name),
        **speed_columns(view, name),
    }


def _labelled(name: str) -> Value:
    system = systems[name]
    return Marked(system.label, system.note) if system.note else system.label


def _accuracy(view: View, name: str) -> dict[str, Value]:
    keys = ("rsum", "rsum_low", "rsum_high", "i2t_r1", "t2i_r1", "rsum_text", "queries")
    evidence = view.evidence(name)
    if evidence is None:
        same = "accuracy" not in systems[name].kinds
        reason = "Accuracy is that of the row above." if same else "Not evaluated here yet."
        return dict.fromkeys(keys, view.missing("accuracy", name, reason))
    recalls = accuracy_columns(evidence)
    rsum = rsum_columns(evidence)
    return {
        **rsum,
        "i2t_r1": recalls["i2t_r1"],
        "t2i_r1": recalls["t2i_r1"],
        "rsum_text": _with_ties(view, name, rsum["rsum_text"]),
        "queries": queries(view, name, evidence),
    }


def _with_ties(view: View, name: str, text: str) -> Value:
    """Return RSUM as it is printed; a spread between its tie bounds is a remark."""
    records = view.of("accuracy", name)
    bounds = [tie_bounds(record.values["metrics"]) for record in records]
    if all(high_bound - low_bound < 0.05 for low_bound, high_bound in bounds):
        return text
    worst, best = (sum(side) / len(bounds) for side in zip(*bounds, strict=True))  # as RSUM is
    return Marked(text, f"Equal scores: RSUM lies between {worst:.2f} and {best:.2f}.")


def tie_bounds(metrics: Mapping[str, Any]) -> tuple[float, float]:
    """Return RSUM with every tie broken against and for the positive."""
    sides = [
        sum(sum(metrics[direction][side].values()) for direction in ("i2t", "t2i"))
        for side in ("pessimistic", "optimistic")
    ]
    return sides[0], sides[1]


def plot(views: Sequence[View]) -> Figure | None:
    """Return RSUM against the median time of a text query, one panel a section."""
    panels = [Panel(view.section.name, _points(view)) for view in views]
    drawn = [panel for panel in panels if panel.points]
    label = "median time of one text query against the prepared gallery, ms"
    return pareto(drawn, label) if drawn else None


def _points(view: View) -> tuple[Point, ...]:
    record = view.latency
    times = record.values["systems"] if record else {}
    found = [(name, view.evidence(_trained_as(name))) for name in view.rows if name in times]
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


def _trained_as(name: str) -> str:
    """Return the system that has the accuracy: a compiled row is another's weights."""
    return systems[name].parts[0] if systems[name].compiled else name


register(
    Table(
        number="2",
        title="Efficiency against accuracy",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        appendix=lambda: [published_grid()],
        columns=(
            "**full evaluation**: all images x all captions in both directions, from pixels and "
            "token ids, weights loaded; **‰** is per mille of the single-stream's (of the compiled "
            "one's for a compiled row): the median over rounds in which both took turns, where "
            "there are such rounds, else of times taken one after the other.",
            "**p50, p95, p99** (n samples): one text query against the prepared image gallery, "
            "from token ids to the best ten; systems are measured in turns.",
            "**queries/s**: the same at the best batch size, measured and never 1/latency; "
            "**pairs/s**: of systems that score pairs.",
            "**one query, request; on the GPU** (sections of a GPU): medians of one query asked "
            "again and again, as its caller waits, and between two events in the GPU's queue while "
            "the host runs ahead.",
            "**closed loop**: queries a second where each client asks again once it is answered, "
            f"one client or {MAX_BATCH} whose queries are answered together; **highest rate**: "
            "of random (Poisson) arrivals at which p99, waiting included, keeps to the limit; "
            "queries that wait are answered together; **≥**: no higher rate was found to miss it.",
            "**GPU allocated, reserved, device; peak RSS**: of a fresh process that answers "
            "queries; four questions, four columns.",
            "**GPU busy**: share of the training that the GPU worked, by NVML's own account.",
            "**FLOPs a query**: matrix products and convolutions; **share of peak**: of this "
            "machine's measured matrix product rate that one query reaches.",
        ),
    )
)
