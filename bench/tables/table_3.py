"""Table 3: image retrieval by images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.claims import Verdict
from bench.layout import Column, Footnotes, Missing, Value, fixed, markdown_table
from bench.plan import cells_of
from bench.records import Cell
from bench.systems import systems
from bench.tables import Block, Table, register
from bench.unimodal import Claim, improvement, improves, measure

if TYPE_CHECKING:
    from bench.sections import View

ROWS = ("dual_stream", "dual_stream_triplet", "cookie")
REFERENCE = "dual_stream"
TRUTHS = {
    "scene_graph": "scene graph",
    "crowd": "people (crowd)",
    "expert": "people (experts)",
    "caption_agreement": "caption agreement (proxy)",
}
"""Names in the order in which they decide; the proxy never does."""
COLUMNS = (
    Column("system", "system", align="left"),
    Column("truth", "ground truth", align="left"),
    Column("ndcg_text", "nDCG@10 (95 % interval)"),
    Column("chance", "chance", fixed(1)),
    Column("r_precision_text", "R-Precision (95 % interval)"),
    Column("improvement_text", "nDCG@10 against dual-stream"),
    Column("queries", "queries"),
    Column("seeds", "seeds"),
)
NO_LINE = Missing("Caption agreement has no degree from which an image is relevant.")


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs."""
    del variants
    return cells_of(ROWS, seeds, ("train", "images"))


def has_rows(view: View) -> bool:
    """Whether image retrieval was measured."""
    return any(record.cell.kind == "images" for record in view.records)


def block(view: View) -> Block:
    """Lay out one section: each truth with its rows."""
    footnotes = Footnotes()
    rows = [
        _row(view, name, truth)
        for truth in TRUTHS
        for name in view.rows
        if measure(view.of("images", name), truth, "ndcg")
    ]
    text = markdown_table(COLUMNS, rows, footnotes)
    plain = [{k: v for k, v in row.items() if not k.endswith("_text")} for row in rows]
    return Block("\n".join([text, "", *footnotes.lines()]), plain, [verdict(view).sentence])


def verdict(view: View) -> Verdict:
    """Judge C4 by the first truth that is no proxy."""
    known = [t for t in list(TRUTHS)[:-1] if measure(view.of("images", "cookie"), t, "ndcg")]
    truth = known[0] if known else "scene_graph"
    name = f"nDCG@10 by {TRUTHS[truth]}"
    sentence = "C4 (image retrieval improves)"
    return improves(view, Claim(sentence, 5.7, "images", truth, "ndcg", name))


def _row(view: View, name: str, truth: str) -> dict[str, Value]:
    records = view.of("images", name)
    found = measure(records, truth, "ndcg")
    chance = measure(records, truth, "chance")
    if found is None or chance is None:
        raise ValueError(f"{name} has no {truth}")
    row: dict[str, Value] = {"system": systems[name].label, "truth": TRUTHS[truth]}
    row["chance"] = chance.mean
    for column in ("ndcg", "r_precision"):
        row |= _interval(view, name, truth, column)
    row |= _improvement(view, name, truth)
    return row | {"queries": len(found.values), "seeds": found.seeds}


def _interval(view: View, name: str, truth: str, column: str) -> dict[str, Value]:
    found = measure(view.of("images", name), truth, column)
    keys = (column, f"{column}_low", f"{column}_high", f"{column}_text")
    if found is None:
        return dict.fromkeys(keys, NO_LINE)
    low, high = found.interval
    values = (found.mean, low, high, f"{found.mean:.1f} ({low:.1f} to {high:.1f})")
    return dict(zip(keys, values, strict=True))


def _improvement(view: View, name: str, truth: str) -> dict[str, Value]:
    keys = ("improvement", "improvement_low", "improvement_high", "improvement_text")
    pair = [measure(view.of("images", n), truth, "ndcg") for n in (name, REFERENCE)]
    if name == REFERENCE:
        return dict.fromkeys(keys, Missing("The dual-stream is what the others are compared with."))
    found = improvement(pair[0], pair[1]) if pair[0] and pair[1] else None
    if found is None:
        return dict.fromkeys(keys, Missing("The dual-stream is not measured in this section yet."))
    return dict(zip(keys, (found.percent, found.low, found.high, str(found)), strict=True))


def plot(views: Sequence[View]) -> None:
    """Return no plot: the intervals are in the table."""
    del views


_TAIL = """## Ground truth

- **scene graph** (generated data): the share of facts that two scenes have in common: objects,
  their attributes, and which stands left of or above which; relevant from 0.5.
- **people** (Flickr8k): ratings of one image's captions on the other image, averaged, experts 1 to
  4 scaled to 0 to 1 (relevant from 3), crowd as the share of yes (relevant from half). Pairs that
  nobody rated are taken out of the ranking (condensed lists, Sakai 2007).
- **caption agreement (proxy)**: cosine of the tf-idf vectors of the images' captions. It knows
  words and not images, and decides nothing."""


def tail() -> str:
    """Return what the ground truths are."""
    return _TAIL


register(
    Table(
        number="3",
        title="Image retrieval",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        tail=tail,
        columns=(
            "**nDCG@10**: gain of the first ten images found for an image, discounted by rank, in "
            "percent of the best order; **chance**: its mean over all orders; **R-Precision**: "
            "share of relevant images among the first "
            "R, R being the number of relevant ones. Intervals are a bootstrap over query images.",
            "**against dual-stream** (tables 3 and 4): relative, with its paired 95 % interval.",
        ),
    )
)
