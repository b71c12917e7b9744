"""Tables on search: the gallery in memory, a query, two stages, growth, ties."""

from __future__ import annotations

from bench.layout import Column, Grid, Marked, Row, Value, duration, significant
from bench.scale import arithmetic as sums
from bench.scale.machines import Machine
from bench.scale.plan import NO_PEAK, Plan, number, size

GALLERIES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
SHORTLISTS = (16, 32, 64, 128, 256)


def gallery(plan: Plan) -> Grid:
    """Bytes of the gallery, and how many machines hold it."""
    columns = (
        Column("name", "kept as", align="left"),
        Column("row", "a row", size),
        Column("all", "gallery", size),
        *(Column(machine.name, machine.name, number) for machine in plan.machines),
    )
    rows: list[Row] = []
    for name, row in sums.row_bytes(plan.width, plan.scenario.code_bytes).items():
        total = plan.scenario.gallery * row
        held = {each.name: each.holding(total, plan.scenario) for each in plan.machines}
        rows.append({"name": name, "row": row, "all": total, **held})
    rows.append(_states(plan))
    return Grid(columns, rows)


def _states(plan: Plan) -> Row:
    total = plan.scenario.gallery * plan.single.kept
    held = {each.name: each.holding(total, plan.scenario) for each in plan.machines}
    name = "single-stream's image states, bfloat16"
    return {"name": name, "row": plan.single.kept, "all": total, **held}


def queries(plan: Plan) -> Grid:
    """One query against the whole gallery: exact search, and the single-stream."""
    asked = plan.scenario
    columns = (
        Column("name", "machine", align="left"),
        Column("encoding", "encoding the gallery once, hours", significant),
        Column("machines", "machines for float16", number),
        Column("scan", "exact top-k on them", duration),
        Column("rate", "queries/s in large batches", significant),
        Column("pairs", "single-stream, hours a query", significant),
    )
    rows = [
        {
            "name": machine.name,
            "encoding": _hours(machine.computing(asked.gallery * plan.cookie.image, asked)),
            "machines": machine.holding(plan.half_bytes, asked),
            "scan": sums.scan_seconds(plan.half_bytes, machine, asked),
            "rate": _rate(plan, machine),
            "pairs": _hours(machine.computing(asked.gallery * plan.single.pair, asked)),
        }
        for machine in plan.machines
    ]
    return Grid(columns, rows)


def _rate(plan: Plan, machine: Machine) -> Value:
    """Return the queries a second of all machines where products are the limit."""
    flops = 2 * plan.scenario.gallery * plan.width
    seconds = machine.computing(flops, plan.scenario)
    if seconds is None:
        return NO_PEAK
    return machine.holding(plan.half_bytes, plan.scenario) / seconds


def two_stage(plan: Plan) -> Grid:
    """A shortlist of COOKIE's, put in order by the single-stream."""
    asked, machine = plan.scenario, plan.reference
    scan = machine.reading(plan.half_bytes, asked)
    whole = sums.pair_query(plan.single, machine, asked.gallery, asked)
    columns = (
        Column("size", "shortlist", number),
        Column("order", "putting it in order", duration),
        Column("query", "whole query", duration),
        Column("mille", "‰ of the single-stream", significant),
    )
    rows = []
    for count in SHORTLISTS:
        order = sums.pair_query(plan.single, machine, count, asked)
        total = sums.dual_query(plan.cookie, machine, 0, asked) + scan + order
        rows.append({"size": count, "order": order, "query": total, "mille": 1000 * total / whole})
    return Grid(columns, rows)


def ratios(plan: Plan) -> Grid:
    """COOKIE against the single-stream by gallery size."""
    asked, machine = plan.scenario, plan.reference
    columns = (
        Column("rows", "images", number),
        Column("cookie", "COOKIE, a query", duration),
        Column("single", "single-stream, a query", duration),
        Column("query", "a query, ‰", significant),
        Column("evaluation", "full evaluation, ‰", significant),
    )
    rows = []
    for count in GALLERIES:
        dual = sums.dual_query(plan.cookie, machine, count, asked)
        pair = sums.pair_query(plan.single, machine, count, asked)
        whole = [sums.full_evaluation(w, count, plan.width) for w in (plan.cookie, plan.single)]
        held = Marked(pair, "More states than one such machine holds: machine seconds of several.")
        fits = machine.holding(count * plan.single.kept, asked) == 1
        rows.append(
            {
                "rows": count,
                "cookie": dual,
                "single": pair if fits else held,
                "query": 1000 * dual / pair,
                "evaluation": 1000 * whole[0] / whole[1],
            }
        )
    return Grid(columns, rows)


def ties(plan: Plan) -> Grid:
    """How many images score the same as the tenth, by precision and gallery size."""
    columns = (
        Column("rows", "images", number),
        *(Column(name, name, significant) for name in sums.MANTISSA),
    )
    rows = [
        {"rows": count} | {name: sums.rivals(count, plan.width, name) for name in sums.MANTISSA}
        for count in GALLERIES
    ]
    return Grid(columns, rows)


def _hours(seconds: float | None) -> Value:
    return NO_PEAK if seconds is None else seconds / sums.HOUR
