"""Table 7: the shortlist's length against accuracy and latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.claims import per_mille
from bench.curves import Path, path_figure
from bench.evidence import DIRECTIONS, Difference, Evidence, compare
from bench.layout import (
    Column,
    Footnotes,
    Marked,
    Missing,
    Value,
    duration,
    fixed,
    markdown_table,
    significant,
)
from bench.plan import cells_of
from bench.plots import Point
from bench.records import Cell
from bench.shortlist_evidence import ALONE, SYSTEM, WHOLE, evidence, names
from bench.systems import systems
from bench.tables import Block, Table, register
from bench.tables.table_1 import accuracy_columns
from bench.tables.table_2 import enough

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.sections import View

END_POINTS = {ALONE: "cookie", WHOLE: "single_stream"}
LABELS = {ALONE: "COOKIE alone", WHOLE: "single-stream alone"}
COLUMNS = (
    Column("k", "k"),
    Column("rsum_text", "RSUM (95 % interval)"),
    Column("i2t_r1", "i2t R@1", fixed(1)),
    Column("t2i_r1", "t2i R@1", fixed(1)),
    Column("queries", "queries"),
    Column("against_whole", "against single-stream"),
    Column("against_alone", "against COOKIE"),
    Column("p50_s", "p50", duration),
    Column("p95_s", "p95", duration),
    Column("p99_s", "p99", duration),
    Column("n", "n"),
    Column("evaluation_s", "full evaluation", duration),
    Column("per_mille", "‰ of single-stream", significant),
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
    footnotes = Footnotes()
    sweep = Sweep(view)
    rows = [sweep.row(name) for name in sweep.names]
    plain = [{k: v for k, v in row.items() if k != "rsum_text"} for row in rows]
    parts = [markdown_table(COLUMNS, rows, footnotes), "\n".join(footnotes.lines())]
    return Block("\n\n".join(parts), plain, sweep.sentences())


class Sweep:
    """One section's lengths with what is known of each."""

    def __init__(self, view: View) -> None:
        self.view, self.names = view, names(view)
        self.evidence = {name: evidence(view, name) for name in self.names}
        self.against_whole = self._compared(WHOLE)
        self.against_alone = self._compared(ALONE)
        self.speed = view.one("shortlist_speed", SYSTEM)

    def _compared(self, reference: str) -> dict[str, Difference]:
        other = self.evidence[reference]
        others = [name for name in self.names if name != reference]
        return {name: compare(self.evidence[name], other) for name in others}

    def row(self, name: str) -> dict[str, Value]:
        """Return the values of one length."""
        found = self.evidence[name]
        low, high = found.rsum_interval
        recalls = accuracy_columns(found)
        return {
            "k": LABELS.get(name, name),
            "rsum": found.rsum,
            "rsum_low": low,
            "rsum_high": high,
            "rsum_text": f"{found.rsum:.1f} ({low:.1f} to {high:.1f})",
            **recalls,
            "queries": self._queries(found),
            "against_whole": _difference(self.against_whole.get(name)),
            "against_alone": _difference(self.against_alone.get(name)),
            **self._latency(name),
            **self._evaluation(name),
        }

    def _queries(self, found: Evidence) -> Value:
        asked = " + ".join(f"{len(found.answers[d].queries):,}" for d in DIRECTIONS)
        largest = self.evidence[ALONE].answers
        if all(len(found.answers[d].queries) == len(largest[d].queries) for d in DIRECTIONS):
            return asked
        return Marked(
            asked,
            "Drawn at random: more pairs do not fit the time given to accuracy. Differences are "
            "on the queries that both rows asked.",
        )

    def _latency(self, name: str) -> dict[str, Value]:
        keys = ("p50_s", "p95_s", "p99_s", "n")
        if self.speed is None:
            return dict.fromkeys(keys, Missing("Not measured in this section yet."))
        found = self.speed.values["systems"][name]
        return {f"{key}_s": enough(found[key]) for key in ("p50", "p95", "p99")} | {"n": found["n"]}

    def full_evaluation(self, name: str) -> Mapping[str, Any] | None:
        """Return what the full evaluation takes at one length, None where it is unknown."""
        if name in END_POINTS:
            record = self.view.one("efficiency", END_POINTS[name])
            return None if record is None else record.values["full_evaluation"]
        return None if self.speed is None else self.speed.values["full_evaluations"][name]

    def _evaluation(self, name: str) -> dict[str, Value]:
        full, reference = self.full_evaluation(name), self.full_evaluation(WHOLE)
        missing = Missing("Not measured in this section yet.")
        if full is None or reference is None:
            return {"evaluation_s": missing, "per_mille": missing}
        either = full["extrapolated"] or reference["extrapolated"]
        return {
            "evaluation_s": _marked(full["seconds"], full["extrapolated"]),
            "per_mille": _marked(per_mille(full, reference).value, either),
        }

    def sentences(self) -> list[str]:
        """Return where re-ranking equals the single-stream, and where it betters COOKIE."""
        return [self._equality(), self._gain()]

    def _equality(self) -> str:
        subject = "Re-ranking against the single-stream"
        steps = self.names[1:-1]
        equal = [name for name in steps if not self._differs_later(name, steps)]
        if not equal:
            last = self.against_whole[steps[-1]]
            return f"{subject}: at no k up to {steps[-1]} statistically equal; {_words(last)}."
        first = equal[0]
        found = _words(self.against_whole[first])
        return (
            f"{subject}: statistically equal to the whole single-stream from k = {first} on "
            f"({found}){self._cost(first)}."
        )

    def _differs_later(self, name: str, steps: Sequence[str]) -> bool:
        later = steps[steps.index(name) :]
        return any(self.against_whole[step].significant for step in later)

    def _gain(self) -> str:
        subject = "Re-ranking against COOKIE alone"
        steps = self.names[1:-1]
        better = [name for name in steps if self._sign(name) > 0]
        worse = [name for name in steps if self._sign(name) < 0]
        best = max(steps, key=lambda name: self.against_alone[name].value)
        tail = f"; worse at k = {', '.join(worse)}" if worse else ""
        if better:
            first = better[0]
            words = _words(self.against_alone[first])
            return (
                f"{subject}: statistically better from k = {first} ({words})"
                f"{self._cost(first)}; largest gain at k = {best} "
                f"({self.against_alone[best].value:+.1f}){tail}."
            )
        words = _words(self.against_alone[best])
        return (
            f"{subject}: statistically better at no k; best at k = {best} ({words})"
            f"{self._cost(best)}{tail}."
        )

    def _sign(self, name: str) -> int:
        found = self.against_alone[name]
        return 0 if not found.significant else 1 if found.value > 0 else -1

    def _cost(self, name: str) -> str:
        """Return what a query and the full evaluation take, beside the end points."""
        parts = []
        if self.speed is not None:
            times = self.speed.values["systems"]
            here, alone, whole = (duration(times[key]["p50"]) for key in (name, ALONE, WHOLE))
            parts.append(
                f"a query takes {here} (COOKIE alone {alone}, the single-stream alone {whole})"
            )
        full, reference = self.full_evaluation(name), self.full_evaluation(WHOLE)
        if full is not None and reference is not None:
            ratio = per_mille(full, reference).value
            parts.append(
                f"the full evaluation {duration(full['seconds'])}, {significant(ratio)} per mille "
                "of the single-stream's"
            )
        return ", at a cost: " + " and ".join(parts) if parts else ""


def _difference(found: Difference | None) -> Value:
    if found is None:
        return Missing("The others are compared with this row.")
    tail = "" if found.significant else ", no difference"
    return f"{found.value:+.1f} ({found.low:+.1f} to {found.high:+.1f}){tail}"


def _words(found: Difference) -> str:
    return (
        f"RSUM {found.value:+.1f}, 95 % interval {found.low:+.1f} to {found.high:+.1f}, "
        f"the same {found.queries['i2t']:,} image and {found.queries['t2i']:,} text queries"
    )


def _marked(value: float, extrapolated: bool) -> Value:
    if not extrapolated:
        return value
    return Marked(
        value,
        "Extrapolated from measured pairs/s: of this row, or of the single-stream in a ratio.",
    )


def plot(views: Sequence[View]) -> Figure | None:
    """Return RSUM against the median time of a text query, one panel a section."""
    paths = [_path(view) for view in views if view.one("shortlist_speed", SYSTEM)]
    label = "median time of one text query against the prepared gallery, ms"
    return path_figure(paths, label) if paths else None


def _path(view: View) -> Path:
    """Return the points on the queries that every row answered, so that they can be compared."""
    section, record = view.section, view.one("shortlist_speed", SYSTEM)
    assert record is not None
    times = record.values["systems"]
    found = {name: evidence(view, name, everyone=False) for name in names(view)}
    points = [
        Point(
            LABELS.get(name, name), _marker(name), times[name]["p50"], one.rsum, *one.rsum_interval
        )
        for name, one in found.items()
    ]
    asked = " + ".join(f"{len(found[WHOLE].answers[d].queries):,}" for d in DIRECTIONS)
    title = f"{section.preset}, {section.regime}, {section.hardware}: {asked} queries"
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
            "queries with its 95 % interval (bootstrap over images); inside it, *no difference*.",
        ),
    )
)
