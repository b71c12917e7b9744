"""Table 7: the shortlist's length against accuracy and latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.findings.columns import (
    FULL_EVALUATION,
    PERCENTILES,
    accuracy_columns,
    asked,
    by_pair_rate,
    percentile_columns,
    rsum_columns,
)
from bench.findings.evidence import DIRECTIONS
from bench.findings.inference_time import per_mille
from bench.findings.shortlist_evidence import (
    ALONE,
    END_POINTS,
    SYSTEM,
    WHOLE,
    Sweep,
    comparable,
)
from bench.findings.shortlist_findings import shortlist_findings
from bench.layout import Column, Grid, Marked, Missing, Value, fixed
from bench.plan import cells_of
from bench.plots.curves import Path, path_figure
from bench.plots.pareto import Point
from bench.records import Cell
from bench.systems import systems
from bench.tables import Block, Table, lay_out, register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.findings.sections import View

LABELS = {ALONE: "COOKIE alone", WHOLE: "single-stream alone"}
COMPARED = Missing("The others are compared with this row.")
NOT_YET = Missing("Not measured in this section yet.")
COLUMNS = (
    Column("k", "k"),
    Column("rsum_text", "RSUM (95 % interval)"),
    Column("i2t_r1", "i2t R@1", fixed(1)),
    Column("t2i_r1", "t2i R@1", fixed(1)),
    Column("queries", "queries"),
    Column("against_whole", "against single-stream"),
    Column("against_alone", "against COOKIE"),
    *PERCENTILES,
    *FULL_EVALUATION,
)


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs."""
    del variants
    return [
        *cells_of((SYSTEM,), seeds, ("train",)),
        *cells_of(tuple(END_POINTS.values()), seeds, ("efficiency",)),
        *(Cell("shortlists", SYSTEM, seed) for seed in seeds),
        Cell("shortlist_speed", SYSTEM, seeds[0]),
    ]


def has_rows(view: View) -> bool:
    """Whether the accuracy of any length is known."""
    return bool(view.of("shortlists", SYSTEM))


def block(view: View) -> Block:
    """Lay out one section: one row a length."""
    sweep = Sweep(view)
    rows = [_row(sweep, name) for name in sweep.names]
    return lay_out([Grid(COLUMNS, rows)], rows, shortlist_findings(sweep))


def _row(sweep: Sweep, name: str) -> dict[str, Value]:
    """Return the values of one length."""
    return {
        "k": LABELS.get(name, name),
        **rsum_columns(sweep.evidence[name]),
        **accuracy_columns(sweep.evidence[name]),
        "queries": _queries(sweep, name),
        "against_whole": str(sweep.against_whole.get(name, "")) or COMPARED,
        "against_alone": str(sweep.against_alone.get(name, "")) or COMPARED,
        **_latency(sweep, name),
        **_evaluation(sweep, name),
    }


def _queries(sweep: Sweep, name: str) -> Value:
    found, largest = sweep.evidence[name], sweep.evidence[ALONE].answers
    if all(len(found.answers[d].queries) == len(largest[d].queries) for d in DIRECTIONS):
        return asked(found)
    return Marked(
        asked(found),
        "Drawn at random: more pairs do not fit the time given to accuracy. Differences are on "
        "the queries that both rows asked.",
    )


def _latency(sweep: Sweep, name: str) -> dict[str, Value]:
    if sweep.speed is None:
        return dict.fromkeys((column.key for column in PERCENTILES), NOT_YET)
    return percentile_columns(sweep.speed.values["systems"][name])


def _evaluation(sweep: Sweep, name: str) -> dict[str, Value]:
    full, reference = sweep.full_evaluation(name), sweep.full_evaluation(WHOLE)
    if full is None or reference is None:
        return dict.fromkeys((column.key for column in FULL_EVALUATION), NOT_YET)
    either = full["extrapolated"] or reference["extrapolated"]
    return {
        "evaluation_s": by_pair_rate(full["seconds"], extrapolated=full["extrapolated"]),
        "per_mille": by_pair_rate(per_mille(full, reference).value, extrapolated=either),
    }


def plot(views: Sequence[View]) -> Figure | None:
    """Return RSUM against the median time of a text query, one panel a section."""
    paths = [_path(view) for view in views if view.one("shortlist_speed", SYSTEM)]
    label = "median time of one text query against the prepared gallery, ms"
    return path_figure(paths, label) if paths else None


def _path(view: View) -> Path:
    """Return the points of the rows that answered the same queries, so that they compare."""
    record = view.one("shortlist_speed", SYSTEM)
    assert record is not None
    times = record.values["systems"]
    found = comparable(view)
    points = [
        Point(
            LABELS.get(name, name), _marker(name), times[name]["p50"], one.rsum, *one.rsum_interval
        )
        for name, one in found.items()
    ]
    title = f"{view.section.name}: {asked(found[WHOLE])} queries"
    return Path(title, tuple(points))


def _marker(name: str) -> str:
    return systems[END_POINTS.get(name, SYSTEM)].marker


register(
    Table(
        number="7",
        title="Length of the shortlist",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        columns=(
            "**k**: candidates of COOKIE's that the single-stream puts in order; behind them the "
            "answers stay in COOKIE's order. Each pair is scored once, at the greatest length.",
            "**against single-stream**, **against COOKIE**: paired difference in RSUM on the same "
            "queries with its 95 % interval (bootstrap over images); inside it, *no difference*. "
            "Where all queries were asked of the single-stream for table 1, with the same weights, "
            "these answers are its row here; the drawing has the rows that answered the same "
            "queries.",
        ),
    )
)
