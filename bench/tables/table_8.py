"""Table 8: architectures of real size; cost is measured, accuracy is quoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.findings.columns import FULL_EVALUATION, SYSTEM, count, reached, share
from bench.layout import Column, Grid, Marked, Missing, Row, Value, scaled, significant
from bench.plan import cells_of
from bench.published import published
from bench.records import Cell
from bench.systems import systems
from bench.tables import Block, Table, lay_out, register

if TYPE_CHECKING:
    from bench.findings.sections import View

ROWS = ("open_clip", "cookie_paper", "vilt", "single_stream_paper")
VARIANTS = ("transformers_clip", "blip_itm")
REFERENCE = "single_stream_paper"
PUBLISHED = {
    "open_clip": "CLIP ViT-B/32 (zero-shot)",
    "transformers_clip": "CLIP ViT-B/32 (zero-shot)",
    "vilt": "ViLT-B/32 (RandAug, 200K steps)",
    "single_stream_paper": "UNITER-base",
    "blip_itm": "BLIP ViT-B, 14M images (top-k re-ranked)",
}
"""Whose published accuracy stands beside a system; the weights here are random."""
SETS = {"flickr30k": "Flickr30K 1K", "coco": "COCO 5K"}
STEPS = {"image": "images/s", "caption": "captions/s", "pair": "pairs/s"}

LEAD = (
    "Random weights: they do not change what a model costs, and make its accuracy void. The "
    "architectures are the same whatever the preset of the section."
)
COST = (
    SYSTEM,
    Column("parameters", "parameters", count),
    *(Column(f"{step}_rate", heading, significant) for step, heading in STEPS.items()),
    *FULL_EVALUATION,
)
WORK = (
    SYSTEM,
    Column("precision", "precision"),
    *(
        column
        for step in STEPS
        for column in (
            Column(f"{step}_flops", f"FLOPs a{'n' * (step == 'image')} {step}", lambda v: _flop(v)),
            Column(f"{step}_share", f"{step}: share of peak", share),
        )
    ),
)
QUOTED = (
    SYSTEM,
    Column("published", "published as", align="left"),
    *(
        Column(f"{key}_{direction}_r1", f"{name}, {direction} R@1")
        for key, name in SETS.items()
        for direction in ("i2t", "t2i")
    ),
    Column("source", "source", align="left"),
)
_NO_PAIRS = Missing("A dual encoder reads images and captions apart; there are no pairs to score.")
_NO_SHARE = Missing("There is no matrix product, or its peak is unknown.")
_NO_SOURCE = Missing("No figure with a source; of COOKIE only the abstract is public.")
_EXTRAPOLATED = "Extrapolated from measured rates to 1,000 images x 5,000 captions."


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs; nothing is trained."""
    return cells_of(ROWS + (VARIANTS if variants else ()), seeds, ("cost",))


def has_rows(view: View) -> bool:
    """Whether the cost of anything is known."""
    return any(record.cell.kind == "cost" for record in view.records)


def block(view: View) -> Block:
    """Lay out one section: cost, work, and what others published."""
    known = [name for name in systems if view.of("cost", name)]
    rows = [_row(view, name) for name in known]
    quoted = [_quoted(name) for name in known]
    grids = [
        Grid(COST, rows, lead=LEAD),
        Grid(WORK, rows, "Work"),
        Grid(QUOTED, quoted, "Published accuracy, not measured here"),
    ]
    return lay_out(grids, [{**a, **b} for a, b in zip(rows, quoted, strict=True)])


def _row(view: View, name: str) -> dict[str, Value]:
    values = _values(view, name)
    steps = {step: _step(values["work"].get(step), step) for step in STEPS}
    return {
        "system": systems[name].label,
        "parameters": values["parameters"],
        "precision": values["precision"],
        **{key: value for step in steps.values() for key, value in step.items()},
        "evaluation_s": Marked(values["full_evaluation"]["seconds"], _EXTRAPOLATED),
        "per_mille": _per_mille(view, name),
    }


def _values(view: View, name: str) -> Mapping[str, Any]:
    return view.of("cost", name)[0].values


def _step(found: Mapping[str, Any] | None, step: str) -> dict[str, Value]:
    """Return rate, FLOPs and share of peak of one item."""
    if found is None:
        return dict.fromkeys((f"{step}_rate", f"{step}_flops", f"{step}_share"), _NO_PAIRS)
    part, flops = found["share_of_compute"], found["flops"]
    return {
        f"{step}_rate": found["items_per_second"],
        f"{step}_flops": flops if flops > 0 else Missing("A table of embeddings, no product."),
        f"{step}_share": reached(part) if part else _NO_SHARE,
    }


def _per_mille(view: View, name: str) -> Value:
    if not view.of("cost", REFERENCE):
        return Missing(f"The {systems[REFERENCE].label} is not measured in this section.")
    own, reference = (
        _values(view, each)["full_evaluation"]["seconds"] for each in (name, REFERENCE)
    )
    return Marked(1000 * own / reference, _EXTRAPOLATED)


def _quoted(name: str) -> Row:
    """Return the published accuracy that belongs to a system, by data set."""
    found = {row["dataset"]: row for row in published() if row["system"] == PUBLISHED.get(name)}
    sources = dict.fromkeys(f"{row['source']} ({row['standing']})" for row in found.values())
    return {
        "system": systems[name].label,
        "published": PUBLISHED.get(name, _NO_SOURCE),
        **{
            f"{key}_{direction}_r1": _figure(found.get(dataset), f"{direction}_r1")
            for key, dataset in SETS.items()
            for direction in ("i2t", "t2i")
        },
        "source": "; ".join(sources) if sources else _NO_SOURCE,
    }


def _figure(row: Mapping[str, str] | None, key: str) -> Value:
    return row[key] if row and row[key] else _NO_SOURCE


def _flop(value: float) -> str:
    return scaled(value, "FLOP")


def plot(views: Sequence[View]) -> None:
    """Return no plot: measured cost and quoted accuracy do not belong into one."""
    del views


register(
    Table(
        number="8",
        title="Architectures of real size",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        columns=(
            "**images/s, captions/s**: into embeddings, or into what a pair scorer keeps of them; "
            "**pairs/s**: of what is left to do for each pair.",
            "**full evaluation** (table 8): 1,000 images x 5,000 captions, extrapolated from these "
            "rates; a dual encoder's ranking is measured.",
            "**published as**: a system of that architecture whose authors or others published "
            "accuracy; it was not measured here.",
        ),
    )
)
