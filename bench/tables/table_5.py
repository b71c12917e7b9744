"""Table 5: ablation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.ablation.variant import Variant
from bench.ablation.variants import VARIANTS
from bench.findings.columns import count, p_value, rsum_columns
from bench.findings.seed_contrasts import contrast
from bench.findings.sharing import sharing_aligns
from bench.layout import Column, Grid, Marked, Missing, Value, fixed
from bench.plan import cells_of
from bench.plots.bars import Bar, BarPanel, bar_chart
from bench.plots.trainings import TrainingPanel, Trainings, one_by_one, trainings_of
from bench.records import Cell
from bench.systems import systems
from bench.tables import Block, Table, lay_out, register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.findings.evidence import Evidence
    from bench.findings.sections import View

REFERENCE = "cookie"
LABELS = {variant.name: variant.label for variant in VARIANTS}
_FIRST = Missing("COOKIE is what the others are compared with.")
_BEGINNING = Missing("The chain of controls begins here.")
_SAME = Missing("Both rows give the same answers, so nothing is known of what would have shown.")
_LACKING = Missing("No seed of the row to compare with has been evaluated in this section yet.")


def _against(prefix: str, name: str) -> tuple[Column, ...]:
    return (
        Column(f"{prefix}_text", f"against {name}"),
        Column(f"{prefix}_p", "p", p_value),
        Column(f"{prefix}_detectable", "detectable", fixed(1)),
    )


COLUMNS = (
    Column("system", "row", align="left"),
    Column("above_encoders", "parameters above the encoders", count),
    Column("trainable", "trained parameters", count),
    Column("rsum_text", "RSUM (95 % interval)"),
    Column("seeds", "seeds"),
    *_against("cookie", "COOKIE"),
    Column("change", "change", align="left"),
    Column("control", "control", align="left"),
    *_against("control", "control"),
)


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs; without ``variants`` those that C6 rests on."""
    rows = [variant.name for variant in VARIANTS if variant.core or variants]
    return cells_of(rows, seeds, ("train", "accuracy"))


def has_rows(view: View) -> bool:
    """Whether anything that only the ablation has was evaluated."""
    alone = [name for name in LABELS if systems[name].variant]
    return any(view.of("accuracy", name) for name in alone)


def block(view: View) -> Block:
    """Lay out one section."""
    rows = [_row(view, variant, evidence) for variant, evidence in _evaluated(view)]
    return lay_out([Grid(COLUMNS, rows)], rows, [sharing_aligns(view)])


def _evaluated(view: View) -> list[tuple[Variant, Evidence]]:
    found = [(variant, view.evidence(variant.name)) for variant in VARIANTS]
    return [(variant, evidence) for variant, evidence in found if evidence is not None]


def _row(view: View, variant: Variant, evidence: Evidence) -> dict[str, Value]:
    return {
        "system": Marked(variant.label, variant.note) if variant.note else variant.label,
        **_training(view, variant.name),
        **rsum_columns(evidence),
        "seeds": len(evidence.seeds),
        **_compared("cookie", view, variant.name, REFERENCE, _FIRST),
        "change": variant.change,
        "control": LABELS.get(variant.control, _BEGINNING),
        **_compared("control", view, variant.name, variant.control, _BEGINNING),
    }


def _training(view: View, name: str) -> dict[str, Value]:
    """Return how many parameters there are above the encoders, and how many learn."""
    values = [record.values for record in view.of("train", name)]
    if not values:
        missing = Missing("The record of its training is not in this section.")
        return dict.fromkeys(("above_encoders", "trainable"), missing)
    counted = [value.get("parameters_above_encoders") for value in values]
    above = next((each for each in counted if each is not None), None)  # the same for every seed
    return {
        "above_encoders": Missing("Not counted when it was trained.") if above is None else above,
        "trainable": values[0]["trainable_parameters"],
    }


def _compared(prefix: str, view: View, name: str, other: str, alone: Missing) -> dict[str, Value]:
    """Return the columns of one comparison; ``alone`` where there is nothing to compare with."""
    keys = ("text", "difference", "low", "high", "p", "detectable")
    found = contrast(view, name, other) if other and other != name else None
    if found is None:
        missing = alone if other in ("", name) else _LACKING
        return {f"{prefix}_{key}": missing for key in keys}
    values = (
        str(found),
        found.difference.value,
        *found.bounds,
        found.p_value,
        found.detectable or _SAME,
    )
    return {f"{prefix}_{key}": value for key, value in zip(keys, values, strict=True)}


def plot(views: Sequence[View]) -> Figure | None:
    """Return the differences from COOKIE as bars, hatched where clear, one panel a section."""
    panels = [panel for view in views if (panel := _panel(view)).bars]
    label = "RSUM minus COOKIE's (95 % paired interval); hatched: a difference"
    return bar_chart(panels, label) if panels else None


def _panel(view: View) -> BarPanel:
    found = [(v.label, contrast(view, v.name, REFERENCE)) for v in VARIANTS if v.name != REFERENCE]
    bars = tuple(
        Bar(label, item.difference.value, *item.bounds, item.sign != 0)
        for label, item in found
        if item is not None
    )
    return BarPanel(view.section.name, bars)


def training(views: Sequence[View]) -> Figure | None:
    """Return loss and validation over steps, two panels a row; None where nothing is known."""
    panels = [TrainingPanel(view.section.name, trained(view)) for view in views]
    panels = [panel for panel in panels if len(panel.trainings) > 1]
    return one_by_one(panels) if panels else None


def trained(view: View) -> tuple[Trainings, ...]:
    """Return COOKIE's trainings, then those of the other rows whose records hold them."""
    rows = [v.name for v in VARIANTS if v.name != REFERENCE]
    found = [trainings_of(view, name, LABELS[name]) for name in (REFERENCE, *rows)]
    return (found[0], *(trainings for trainings in found[1:] if trainings.histories))


register(
    Table(
        number="5",
        title="Ablation: what aligns the streams",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        training=training,
        columns=(
            "**parameters above the encoders**: projections, what stands between, pooling, "
            "embedding, temperature; **trained parameters** counts what learns, encoders included.",
            "**change, control**: the one thing in which a row differs from the row named.",
            "**against COOKIE, against control** (table 5): paired difference in RSUM, hits "
            "averaged over the seeds of both rows; interval, **p** and doubts as in table 1.",
            "**detectable**: the smallest true difference found about four times in five at the "
            "5 % level (Bloom 1995): 2.8 standard errors over images and, with several seeds, "
            "Student's quantiles in place of 2.8 over seeds. With one seed it is too small by the "
            "spread between trainings.",
        ),
    )
)
