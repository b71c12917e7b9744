"""Table 3: image retrieval by images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.findings.columns import SYSTEM
from bench.findings.unimodal import improvement_columns, measure, measure_columns
from bench.findings.unimodal_claims import TRUTHS, image_retrieval_improves
from bench.layout import Column, Grid, Value, fixed
from bench.plan import cells_of
from bench.records import Cell
from bench.systems import systems
from bench.tables import Block, Note, Table, lay_out, register

if TYPE_CHECKING:
    from bench.findings.sections import View

ROWS = ("dual_stream", "dual_stream_triplet", "cookie")
COLUMNS = (
    SYSTEM,
    Column("truth", "ground truth", align="left"),
    Column("ndcg_text", "nDCG@10 (95 % interval)"),
    Column("chance", "chance", fixed(1)),
    Column("r_precision_text", "R-Precision (95 % interval)"),
    Column("improvement_text", "nDCG@10 against dual-stream"),
    Column("queries", "queries"),
    Column("seeds", "seeds"),
)
NO_LINE = "Caption agreement has no degree from which an image is relevant."


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs."""
    del variants
    return cells_of(ROWS, seeds, ("train", "images"))


def has_rows(view: View) -> bool:
    """Whether image retrieval was measured."""
    return any(record.cell.kind == "images" for record in view.records)


def block(view: View) -> Block:
    """Lay out one section: each truth with its rows."""
    rows = [
        _row(view, name, truth)
        for truth in TRUTHS
        for name in systems
        if measure(view.of("images", name), truth, "ndcg")
    ]
    return lay_out([Grid(COLUMNS, rows)], rows, [image_retrieval_improves(view)])


def _row(view: View, name: str, truth: str) -> dict[str, Value]:
    records = view.of("images", name)
    found = measure(records, truth, "ndcg")
    chance = measure(records, truth, "chance")
    if found is None or chance is None:
        raise ValueError(f"{name} has no {truth}")
    return {
        "system": systems[name].label,
        "truth": TRUTHS[truth],
        "chance": chance.mean,
        **measure_columns(records, truth, "ndcg", NO_LINE),
        **measure_columns(records, truth, "r_precision", NO_LINE),
        **improvement_columns(view, "images", name, truth, "ndcg"),
        "queries": len(found.values),
        "seeds": found.seeds,
    }


def plot(views: Sequence[View]) -> None:
    """Return no plot: the intervals are in the table."""
    del views


TRUTH_NOTE = Note(
    "Ground truth of image retrieval",
    (
        "**scene graph** (generated data): the share of facts that two scenes have in common: "
        "objects, their attributes, and which stands left of or above which; relevant from 0.5.",
        "**people** (Flickr8k): ratings of one image's captions on the other image, averaged, "
        "experts 1 to 4 scaled to 0 to 1 (relevant from 3), crowd as the share of yes (relevant "
        "from half). Pairs that nobody rated are taken out of the ranking (condensed lists, Sakai "
        "2007).",
        "**caption agreement (proxy)**: cosine of the tf-idf vectors of the images' captions. It "
        "knows words and not images, and decides nothing.",
    ),
)


register(
    Table(
        number="3",
        title="Image retrieval",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        notes=(TRUTH_NOTE,),
        columns=(
            "**nDCG@10**: gain of the first ten images found for an image, discounted by rank, in "
            "percent of the best order; **chance**: its mean over all orders; **R-Precision**: "
            "share of relevant images among the first "
            "R, R being the number of relevant ones. Intervals are a bootstrap over query images.",
            "**against dual-stream** (tables 3 and 4): relative, with the interval of table 1.",
        ),
    )
)
