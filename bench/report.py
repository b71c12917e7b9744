"""Render reports from records alone: ``python -m bench.report [results]``.

``--benchmarks FILE`` renders what ``pytest bench/ --benchmark-json FILE`` wrote instead.

Needs neither torch nor a model, so it runs wherever the records are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from bench.benchmarks_page import render_benchmarks
from bench.failures import read_failures
from bench.guide import guide
from bench.headline import update_readme
from bench.layout import csv_text
from bench.plots import save
from bench.provenance import facts, remarks, title
from bench.record_types import readable
from bench.records import Section, read_all, write_text
from bench.sections import View, views
from bench.sharing_page import render_sharing
from bench.tables import Block, Table, tables
from bench.web.index import index_page
from cookie.errors import UserError, run_main


@dataclass(frozen=True, slots=True)
class Report:
    """A rendered table.

    Attributes:
        table: its number. dataset: its data set. path: of the markdown page.
        blocks: what it says, by section. plot: path of the drawing, None where there is none.
    """

    table: str
    dataset: str
    path: Path
    blocks: tuple[tuple[View, Block], ...]
    plot: Path | None = None

    @property
    def sentences(self) -> dict[Section, list[str]]:
        """The verdicts by section."""
        return {view.section: list(block.sentences) for view, block in self.blocks}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "table": self.table,
            "dataset": self.dataset,
            "path": str(self.path),
            "verdicts": [
                {**dataclasses.asdict(section), "sentences": sentences}
                for section, sentences in self.sentences.items()
            ],
        }


def render_all(results: Path) -> list[Report]:
    """Render every table that the records allow, the page on sharing, and the guide to them.

    The result table of a README.md beside ``results`` is renewed as well, where it has the marks.

    Raises:
        DataError: a record cannot be read, or its values are not as they should be.
    """
    folders = sorted(path.parent for path in results.glob("*/records"))
    sections = {folder: _sections(folder) for folder in folders}
    reports = [report for folder in folders for report in _tables_of(folder, sections[folder])]
    if reports:
        with readable("The page on sharing"):
            by_name = {folder.name: found for folder, found in sections.items()}
            sharing = render_sharing(by_name, results)
        with readable("The overview"):
            write_text(results / "README.md", guide(reports, results, sharing))
            write_text(results / "index.html", index_page(reports, results, sharing))
            update_readme(results.resolve().parent / "README.md", results)
    return reports


def render_dataset(folder: Path) -> list[Report]:
    """Render the tables of one data set's ``folder`` from its records."""
    return _tables_of(folder, _sections(folder))


def _sections(folder: Path) -> list[View]:
    return views(read_all(folder), list(read_failures(folder)))


def _tables_of(folder: Path, sections: Sequence[View]) -> list[Report]:
    reports: list[Report] = []
    for number, table in ((number, tables[number]) for number in tables):
        with readable(f"Table {number} of {folder.name}"):
            shown = [view for view in sections if table.has_rows(view)]
            reports += [render(table, shown, folder)] if shown else []
    return reports


def render(table: Table, sections: Sequence[View], folder: Path) -> Report:
    """Write one table's page, CSV and plot into ``folder``."""
    stem = folder / f"table_{table.number}"
    blocks = tuple((view, table.block(view)) for view in sections)
    figure = table.plot(sections)
    if figure is not None:
        save(figure, stem)
    write_text(stem.with_suffix(".csv"), csv_text(_csv_rows(blocks)))
    write_text(stem.with_suffix(".md"), page(table, folder.name, blocks, figure is not None))
    drawing = None if figure is None else stem.with_suffix(".svg")
    return Report(table.number, folder.name, stem.with_suffix(".md"), blocks, drawing)


def _csv_rows(blocks: Iterable[tuple[View, Block]]) -> list[dict[str, Any]]:
    return [
        {
            "preset": view.section.preset,
            "regime": view.section.regime,
            "hardware": view.section.hardware,
            "limit": view.section.limit,
            **row,
        }
        for view, block in blocks
        for row in block.rows
    ]


def page(table: Table, dataset: str, blocks: Sequence[tuple[View, Block]], has_plot: bool) -> str:
    """Return the markdown page of a table."""
    name = f"table_{table.number}"
    head = [
        f"# Table {table.number}: {table.title} ({dataset})",
        f"What the columns mean: [guide](../README.md). Values: [{name}.csv]({name}.csv). "
        "Rendered from the records beside this page; rendering again changes nothing.",
    ]
    plot = [f"![{table.title}]({name}.svg)"] if has_plot else []
    sections = [part for view, block in blocks for part in _section(view, block)]
    tail = [table.tail()] if table.tail() else []
    return "\n\n".join([*head, *plot, *sections, *tail]) + "\n"


def _section(view: View, block: Block) -> list[str]:
    verdicts = [f"- **{_outcome(sentence)}** {_rest(sentence)}" for sentence in block.sentences]
    return [
        f"## {title(view)}",
        *(["\n".join(verdicts)] if verdicts else []),
        block.markdown,
        "\n".join(["#### Provenance", "", *facts(view), *remarks(view)]),
    ]


def _outcome(sentence: str) -> str:
    return sentence.partition(": ")[0] + ":"


def _rest(sentence: str) -> str:
    return sentence.partition(": ")[2]


@dataclass(frozen=True)
class ReportOptions:
    """Render all tables again from their records, without running anything.

    Attributes:
        results: the folder that holds one folder a data set.
        benchmarks: render this file of ``pytest bench/ --benchmark-json FILE`` beside it instead.
    """

    results: Annotated[Path, tyro.conf.Positional] = Path("results")
    benchmarks: Path | None = None


def main() -> None:
    """Command line entry."""
    options = tyro.cli(ReportOptions, prog="python -m bench.report")
    if options.benchmarks is not None:
        print(render_benchmarks(options.benchmarks))
        return
    reports = render_all(options.results)
    if not reports:
        raise UserError(
            f"'{options.results}' holds no records: run python -m bench.reproduce --table 2 first."
        )
    for report in reports:
        print(report.path)


if __name__ == "__main__":
    run_main(main)
