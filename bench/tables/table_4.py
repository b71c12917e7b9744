"""Table 4: text matching."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.findings.columns import SYSTEM
from bench.findings.unimodal import (
    improvement_columns,
    measure,
    measure_columns,
)
from bench.findings.unimodal_claims import text_matching_improves
from bench.layout import Column, Grid, Missing, Value, fixed
from bench.material.sentence_sets import SETS
from bench.plan import cells_of
from bench.records import Cell
from bench.systems import systems
from bench.tables import Block, Note, Table, lay_out, register

if TYPE_CHECKING:
    from bench.findings.sections import View
    from bench.records import Record

ROWS = ("dual_stream", "dual_stream_triplet", "cookie")
CLIPSCORE = {"expert": 51.2, "crowd": 34.4}
"""CLIPScore with CLIP ViT-B/32 (Hessel et al., EMNLP 2021): tau-c and tau-b, times 100."""
ALONE = "No caption has another one of the same image."
CAPTIONS = (
    SYSTEM,
    *(Column(f"r{k}", f"R@{k}", fixed(1)) for k in (1, 5, 10)),
    Column("map_r_text", "mAP@R (95 % interval)"),
    Column("improvement_text", "mAP@R against dual-stream"),
    Column("queries", "queries"),
    Column("seeds", "seeds"),
)
SENTENCES = (
    SYSTEM,
    *(Column(f"{name}_text", found.label) for name, found in SETS.items()),
    Column("mrpc_accuracy", "MRPC accuracy", fixed(1)),
    Column("mrpc_f1", "MRPC F1", fixed(1)),
)
JUDGMENTS = (
    SYSTEM,
    Column("expert", "Flickr8k-Expert τ_c, measured", fixed(1)),
    Column("expert_published", "CLIPScore's τ_c, published", fixed(1)),
    Column("crowd", "Flickr8k-CF τ_b, measured", fixed(1)),
    Column("crowd_published", "CLIPScore's τ_b, published", fixed(1)),
)


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs."""
    del variants
    return cells_of(ROWS, seeds, ("train", "texts"))


def has_rows(view: View) -> bool:
    """Whether text matching was measured."""
    return any(record.cell.kind == "texts" for record in view.records)


def block(view: View) -> Block:
    """Lay out one section: captions, sentence pairs, human judgments."""
    rows = [_row(view, name) for name in systems if view.of("texts", name)]
    grids = [
        Grid(CAPTIONS, rows, "Captions of the same image among all test captions"),
        Grid(
            SENTENCES,
            rows,
            "Rated sentence pairs (Spearman x 100, standard error) and paraphrases",
        ),
        Grid(JUDGMENTS, rows, "Agreement with people on image and caption (Kendall x 100)"),
    ]
    return lay_out(
        [grid for grid in grids if _measured(grid)], rows, [text_matching_improves(view)]
    )


def _measured(grid: Grid) -> bool:
    """Whether any cell besides names and quoted figures is known."""
    keys = [c.key for c in grid.columns[1:] if not c.key.endswith("_published")]
    return any(not isinstance(row[key], Missing) for row in grid.rows for key in keys)


def _row(view: View, name: str) -> dict[str, Value]:
    records = view.of("texts", name)
    values = [record.values for record in records]
    return {
        "system": systems[name].label,
        **_captions(view, name, records),
        **_sentences(values),
        **_mrpc(values),
        **_judgments(values),
    }


def _captions(view: View, name: str, records: Sequence[Record]) -> dict[str, Value]:
    found = measure(records, "captions", "map_r")
    if found is None:
        missing = Missing(ALONE)
        return {column.key: missing for column in CAPTIONS[1:]}
    recalls = {f"r{k}": measure(records, "captions", f"r{k}") for k in (1, 5, 10)}
    return {
        **{key: item.mean for key, item in recalls.items() if item is not None},
        **measure_columns(records, "captions", "map_r", ALONE),
        **improvement_columns(view, "texts", name, "captions", "map_r"),
        "queries": len(found.values),
        "seeds": found.seeds,
    }


def _mean(
    values: Sequence[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> dict[str, float] | Missing:
    """Return a part's numbers averaged over seeds, or why there are none."""
    parts = [read(value) for value in values]
    reasons = [part["reason"] for part in parts if "reason" in part]
    if reasons:
        return Missing(reasons[0])
    return {key: float(np.mean([part[key] for part in parts])) for key in parts[0]}


def _sentences(values: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    row: dict[str, Value] = {}
    for name in SETS:
        found = _mean(values, lambda value, name=name: value["sentences"][name])  # type: ignore[misc]
        if isinstance(found, Missing):
            row |= {name: found, f"{name}_error": found, f"{name}_text": found}
            continue
        rho, error = found["spearman"], found["standard_error"]
        row |= {name: rho, f"{name}_error": error, f"{name}_text": f"{rho:.1f} ± {error:.1f}"}
    return row


def _mrpc(values: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    found = _mean(values, lambda value: value["mrpc"])
    if isinstance(found, Missing):
        return {"mrpc_accuracy": found, "mrpc_f1": found}
    return {"mrpc_accuracy": found["accuracy"], "mrpc_f1": found["f1"]}


def _judgments(values: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    found = _mean(values, lambda value: value["judgments"])
    measured = dict.fromkeys(CLIPSCORE, found) if isinstance(found, Missing) else found
    return {**measured, **{f"{name}_published": tau for name, tau in CLIPSCORE.items()}}


def plot(views: Sequence[View]) -> None:
    """Return no plot: the intervals are in the table."""
    del views


SOURCES = Note(
    "Sources of text matching",
    (
        "Sentence sets are the test parts: SICK (Marelli et al., 2014), STS-B (Cer et al., 2017), "
        "the images parts of SemEval STS 2014 and 2015, CxC caption pairs that resolve to COCO "
        "val2017 captions (Parekh et al., 2021), MRPC (Dolan and Brockett, 2005) with the "
        "threshold that is most accurate on its training part.",
        "Standard errors are those of Spearman's correlation over pairs (Fieller, Hartley and "
        "Pearson, 1957).",
        "SICK's sentences are in part made from captions of Flickr8k, whose training split a model "
        "may have seen.",
        "Human judgments follow CLIPScore (Hessel et al., EMNLP 2021), whose figures are CLIP "
        "ViT-B/32's: another model on other data, quoted and not measured.",
    ),
)


register(
    Table(
        number="4",
        title="Text matching",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        notes=(SOURCES,),
        columns=(
            "**R@K, mAP@R** (table 4): percent of captions that find another one of their image "
            "among the first K; mean average precision at R, the number of such captions "
            "(Musgrave et al. 2020), with a bootstrap over images.",
            "**SICK ... CxC** (of models of photographs, where the sets are at hand): Spearman's "
            "correlation of cosine and rating; **MRPC**: paraphrase or not; **τ** (Flickr8k): "
            "Kendall's correlation of image-caption cosine and human rating.",
        ),
    )
)
