"""The result table at the top of the README, rendered from the same records as the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.findings.claims import JUDGES
from bench.findings.sections import View, views
from bench.findings.verdicts import CLAIMS, Verdict
from bench.layout import (
    Column,
    Footnotes,
    Missing,
    Row,
    Value,
    counted,
    duration,
    fixed,
    markdown_table,
    significant,
    spread,
)
from bench.pages.guide import effect_columns
from bench.records import read_all, write_text
from bench.tables import tables

BEGIN, END = "<!-- generated: headline -->", "<!-- /generated -->"
SHOWN = (("flickr8k", "small"), ("scenes", "tiny"))
"""Data sets, and the preset of each, that the README shows where they were measured."""
ROWS = ("dual_stream", "cookie", "single_stream", "two_stage")
"""One row an architecture; floors, compiled and naive ones are in the whole table."""
LEAD = (
    "What the abstracts claim, as far as it was measured here, with 95 % intervals "
    "([more](results/README.md)):"
)
COLUMNS = (
    Column("system", "system", align="left"),
    Column("rsum_text", "RSUM (95 % interval)"),
    Column("i2t_r1", "i2t R@1", fixed(1)),
    Column("t2i_r1", "t2i R@1", fixed(1)),
    Column("evaluation_s", "full evaluation", duration),
    Column("per_mille", "‰ of single-stream", significant),
    Column("p50_s", "query p50", duration),
)


def headline(results: Path) -> str:
    """Return the claims, then a table of each data set in ``SHOWN`` with its plot and verdicts.

    Of several machines one is shown, that with the most trainings; of the others there is a
    sentence.
    """
    found = {
        results / dataset: sorted(_sections(results / dataset, preset), key=_weight)
        for dataset, preset in SHOWN
    }
    shown = {folder: view for folder, (view, *_) in _known(found).items()}
    others = [view for _, *rest in _known(found).values() for view in rest]
    parts = [_claims(shown), *(_elsewhere(view) for view in others)] if shown else []
    return "\n\n".join([*parts, *(_section(folder, view) for folder, view in shown.items())])


def _known(found: Mapping[Path, Sequence[View]]) -> dict[Path, Sequence[View]]:
    return {folder: sections for folder, sections in found.items() if sections}


def _claims(shown: Mapping[Path, View]) -> str:
    """Return what each section says on each claim, side by side."""
    columns = [Column("claim", "claim", align="left")]
    columns += [Column(folder.name, f"on {folder.name}", align="left") for folder in shown]
    rows = [
        {"claim": f"{number}: {claim.statement}"}
        | {folder.name: _judged(JUDGES[number](view)) for folder, view in shown.items()}
        for number, claim in CLAIMS.items()
    ]
    return f"{LEAD}\n\n{markdown_table(columns, rows)}"


def _judged(verdict: Verdict) -> str:
    return f"**{verdict.outcome}**{_size(verdict)}"


def update_readme(readme: Path, results: Path) -> bool:
    """Put the headline between the marks in ``readme``; return whether there are such marks."""
    if not readme.is_file():
        return False
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        return False
    updated = f"{before}{BEGIN}\n{headline(results)}\n{END}{after}"
    if updated != text:
        write_text(readme, updated)
    return True


def _sections(folder: Path, preset: str) -> Sequence[View]:
    """Return the sections of a preset over the whole test split; speed must be known."""
    if not (folder / "records").is_dir():
        return []
    found = [v for v in views(read_all(folder)) if v.section.preset == preset]
    return [v for v in found if v.section.limit is None and tables["2"].has_rows(v)]


def _weight(view: View) -> int:
    """Sort the section with the most trainings to the front."""
    return -sum(record.cell.kind == "accuracy" for record in view.records)


def _elsewhere(view: View) -> str:
    """Return the verdicts of a further section in a sentence."""
    found = [judge(view) for judge in JUDGES.values()]
    said = "; ".join(f"{v.number} {v.outcome}{_size(v)}" for v in found if v.effect is not None)
    place = f"{view.newest.stamp.dataset} on {view.newest.hardware['description']}"
    return f"The same for {place}: {said}."


def _size(verdict: Verdict) -> str:
    """Return the effect with its bounds and seeds; nothing where none was measured."""
    if verdict.effect is None:
        return ""
    columns, seeds = effect_columns(verdict.effect), verdict.effect.seeds
    trained = "" if seeds is None else f"; {counted(seeds, 'seed')}"
    bounds = columns["bounds"].replace(" (", ", ").rstrip(")")
    return f": {columns['effect']} ({bounds}{trained})"


def _section(folder: Path, view: View) -> str:
    table = tables["2"]
    block = table.block(view)
    footnotes = Footnotes()
    rows: list[Row] = [
        {**row, "rsum_text": _rsum(row)}
        for name, row in zip(view.rows, block.rows, strict=True)
        if name in ROWS
    ]
    lines = [
        f"**{folder.name}**, preset `{view.section.preset}` ({view.section.regime}), "
        f"{view.newest.hardware['description']} "
        f"([whole table](results/{folder.name}/table_2.md), "
        f"[data](results/{folder.name}/table_2.csv)):",
        markdown_table(COLUMNS, rows, footnotes),
        "<br>".join(line.removeprefix("- ") for line in footnotes.lines()),
        "\n".join(f"- {sentence}" for sentence in block.sentences),
        f"![{table.title}](results/{folder.name}/table_2.png)",
    ]
    return "\n\n".join(line for line in lines if line)


def _rsum(row: Row) -> Value:
    rsum = row["rsum"]
    if isinstance(rsum, Missing):
        return rsum
    return spread(rsum, row["rsum_low"], row["rsum_high"])
