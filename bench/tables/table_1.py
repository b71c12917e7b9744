"""Table 1: cross-modal retrieval accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.ablation.sharing_points import LONGER
from bench.ablation.variants import FINE_TUNED, UNREAD
from bench.findings.claims import beats_dual_stream, competitive_with_single_stream
from bench.findings.columns import (
    NO_REFERENCE,
    REFERENCE_ROW,
    SYSTEM,
    accuracy_columns,
    asked,
    p_value,
)
from bench.findings.evidence import DIRECTIONS, KS, Evidence, recall_curve
from bench.findings.seed_contrasts import pooled_contrast
from bench.layout import Column, Grid, Marked, Value, fixed
from bench.plan import cells_of
from bench.plots.recalls import RecallCurve, RecallPanel, recall_figure
from bench.plots.trainings import TrainingPanel, Trainings, together, trainings_of
from bench.records import Cell, Record
from bench.systems import systems
from bench.tables import Block, Table, lay_out, register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.findings.sections import View

ROWS = ("ridge_floor", "dual_stream", "dual_stream_triplet", "cookie", "single_stream", "two_stage")
NEAR = 2.0
"""Times the RSUM of chance: below, a system has as good as not learned."""
COLLAPSED = (
    "Hardly better than chance: this training collapsed, which says nothing of the architecture."
)
OTHERWISE = (
    "What the common budget and frozen encoders withhold. No claim is judged by these rows, and "
    "the dual-stream that they are compared with is that of the common budget; the page "
    "`when_sharing_pays.md` has the gaps between systems of as many steps, table 5 that between "
    "systems with fine-tuned encoders. The rates of fine-tuning were chosen for COOKIE, and the "
    "dual-stream takes them over."
)
TUNED = tuple(f"{base}_{FINE_TUNED}" for base in ("dual_stream", "cookie"))
CONTROLS = (
    "The pretrained text encoder has read captions like these, perhaps of these photographs. Here "
    "a smaller one learns what it knows of captions from the training split alone: from random "
    "weights, or from the vectors of GloVe, which are of words and from other texts. Each row is "
    "compared with the dual-stream whose text encoder starts the same way. No claim is judged by "
    "these rows."
)
UNTOUCHED = tuple(f"{base}_{start}" for start in UNREAD for base in ("dual_stream", "cookie"))
APART = "dual_stream_triplet"
"""The row that no claim is judged by; the footnote says why."""
REFERENCE = "dual_stream"
COLUMNS = (
    SYSTEM,
    *(Column(f"{d}_r{k}", f"{d} R@{k}", fixed(1)) for d in DIRECTIONS for k in KS),
    Column("rsum_text", "RSUM"),
    Column("interval", "95 % interval"),
    Column("difference", "against dual-stream"),
    Column("p_value", "p", p_value),
    Column("queries", "queries"),
)


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs; ``variants`` are rows of other trainings."""
    rows = ROWS + LONGER + TUNED + UNTOUCHED if variants else ROWS
    return cells_of(rows, seeds, ("train", "accuracy"))


def has_rows(view: View) -> bool:
    """Whether any accuracy is known."""
    return any(record.cell.kind == "accuracy" for record in view.records)


def block(view: View) -> Block:
    """Lay out one section."""
    rows = _rows(view, view.rows, _best(view))
    grids = [
        Grid(COLUMNS, rows),
        Grid(
            COLUMNS,
            _rows(view, LONGER + TUNED),
            "With another training: more steps, or fine-tuned encoders",
            OTHERWISE,
        ),
        Grid(
            COLUMNS,
            _rows(view, UNTOUCHED),
            "With a text encoder that has read no caption before",
            CONTROLS,
        ),
    ]
    shown = [grid for grid in grids if grid.rows]
    verdicts = [beats_dual_stream(view), competitive_with_single_stream(view)]
    return lay_out(shown, [row for grid in shown for row in grid.rows], verdicts)


def _best(view: View) -> str | None:
    """Return the system with the highest RSUM, if its lead over every other one is told."""
    sums = {name: found.rsum for name in view.rows if (found := view.evidence(name))}
    best = max(sums, key=lambda name: sums[name], default=None)
    others = [name for name in sums if name != best]
    told = best is not None and bool(others) and all(_is_ahead(view, best, o) for o in others)
    return best if told else None


def _is_ahead(view: View, one: str, other: str) -> bool:
    found = pooled_contrast(view, one, other)
    if found is None:
        return False
    return found.difference.low > 0 if _is_untrained(other) else found.sign > 0


def _is_untrained(name: str) -> bool:
    """Whether one seed is all there are."""
    return systems[name].family == "floor"


def _rows(view: View, names: Sequence[str], best: str | None = None) -> list[dict[str, Value]]:
    """Return the rows of those systems that were evaluated, or whose evaluation failed."""
    failed = {failure.cell.system for failure in view.failures if failure.cell.kind == "accuracy"}
    found = [(name, view.evidence(name)) for name in names]
    return [
        _row(view, name, evidence, best=name == best) if evidence else _failed(view, name)
        for name, evidence in found
        if evidence or name in failed
    ]


def _failed(view: View, name: str) -> dict[str, Value]:
    missing = view.missing("accuracy", name, "Not evaluated here yet.")
    row: dict[str, Value] = {column.key: missing for column in COLUMNS}
    return row | {"rsum": missing, "system": systems[name].label}


def _row(view: View, name: str, evidence: Evidence, *, best: bool) -> dict[str, Value]:
    low, high = evidence.rsum_interval
    return {
        "system": _label(view, name, evidence),
        **accuracy_columns(evidence),
        "rsum": evidence.rsum,
        "rsum_text": f"**{evidence.rsum:.1f}**" if best else f"{evidence.rsum:.1f}",
        "interval": f"{low:.1f} to {high:.1f}",
        **_against_reference(view, name),
        "queries": queries(view, name, evidence),
    }


def _label(view: View, name: str, evidence: Evidence) -> Value:
    """Return the row's label, marked where it learned nothing or stands apart."""
    system, record = systems[name], view.one("accuracy", name)
    least = NEAR * chance(**record.values["gallery"]) if record is not None else 0.0
    if system.build is not None and evidence.rsum < least:
        return Marked(system.label, COLLAPSED)
    return Marked(system.label, system.note) if name == APART else system.label


def chance(images: int, captions: int) -> float:
    """Return the RSUM of random answers, with captions / images right captions an image."""
    right = captions / images
    t2i = sum(min(1.0, k / images) for k in KS)
    i2t = sum(1 - math.pow(max(0.0, 1 - k / captions), right) for k in KS)
    return 100 * (t2i + i2t)


def queries(view: View, name: str, evidence: Evidence) -> Value:
    """Return how many queries of each direction were asked, marked where they are a sample."""
    record = view.one("accuracy", name)
    if record is None or not record.values["sampled"]:
        return asked(evidence)
    gallery = record.values["gallery"]
    return Marked(
        asked(evidence),
        "Image and text queries drawn at random, each ranked against the full gallery "
        f"({gallery['captions']:,} captions, {gallery['images']:,} images), because all of them "
        "do not fit the time given to accuracy; the estimate is unbiased and the interval "
        "covers the drawing.",
    )


def _against_reference(view: View, name: str) -> dict[str, Value]:
    start = next((start for start in UNREAD if name.endswith(start)), "")
    reference = f"{REFERENCE}_{start}" if start else REFERENCE
    found = None if name == reference else pooled_contrast(view, name, reference)
    if found is None:
        missing = REFERENCE_ROW if name == reference else NO_REFERENCE
        return {"difference": missing, "p_value": missing}
    shown = found.difference if _is_untrained(name) else found
    return {"difference": str(shown), "p_value": found.p_value}


def plot(views: Sequence[View]) -> Figure | None:
    """Return R@K over K, a row a section: image queries on the left, text queries on the right.

    Sections that hold rows of the ablation alone have no curves; None where all are such.
    """
    drawn = [view for view in views if _evaluated(view)]
    rows = [[_panel(view, direction) for direction in DIRECTIONS] for view in drawn]
    return recall_figure(rows, "K", "R@K, %") if rows else None


def _evaluated(view: View) -> dict[str, list[Record]]:
    """Return the accuracy of the table's own systems, as far as the records hold it."""
    records = {name: view.of("accuracy", name) for name in view.rows}
    return {name: found for name, found in records.items() if found}


def _panel(view: View, direction: str) -> RecallPanel:
    """Return one direction's curves up to K = 100, or to the gallery's size where it is less."""
    records = _evaluated(view)
    gallery = next(iter(records.values()))[0].values["gallery"]
    places = range(1, min(100, gallery["captions" if direction == "i2t" else "images"]) + 1)
    return RecallPanel(
        f"{direction}: {view.section.name}",
        places,
        tuple(
            RecallCurve(
                systems[name].label,
                systems[name].marker,
                recall_curve(found, direction, places).tolist(),
            )
            for name, found in records.items()
        ),
    )


def training(views: Sequence[View]) -> Figure | None:
    """Return loss and validation over steps, a row a section; None where nothing is known."""
    panels = [TrainingPanel(view.section.name, trained(view)) for view in views]
    panels = [panel for panel in panels if panel.trainings]
    return together(panels) if panels else None


def trained(view: View) -> tuple[Trainings, ...]:
    """Return the trainings of all systems but the ablation's, as far as the records hold them."""
    names = [name for name in systems if not systems[name].variant]
    found = (trainings_of(view, n, systems[n].label, systems[n].marker) for n in names)
    return tuple(trainings for trainings in found if trainings.histories)


register(
    Table(
        number="1",
        title="Cross-modal retrieval accuracy",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        training=training,
        columns=(
            "**i2t R@K, t2i R@K**: percent of image (caption) queries with a right caption "
            "(image) among the first K.",
            "**RSUM**: the sum of the six recalls, at most 600; the interval is a bootstrap over "
            "images. **Bold**: the best, if its lead over every other row is told, over images and "
            "over seeds, as in the next column.",
            "**against dual-stream**: paired difference in RSUM on the same queries. Of two 95 % "
            "intervals, a bootstrap over images and, where both rows share several seeds, "
            "Student's over the seeds' differences, the one that reaches further each way is "
            "shown, and of their two-sided **p** the larger. *No difference*: the images do not "
            "tell one; *too few seeds*: they do, the seeds do not; *one seed*: nobody knows.",
            "**curves of table 1**: R@K over K; a re-ranker finds nothing beyond its shortlist, so "
            "its curve ends flat.",
        ),
    )
)
