"""Render reports from records alone: ``python -m bench.report [results]``.

``--benchmarks FILE`` renders what ``pytest bench/ --benchmark-json FILE`` wrote instead.

Needs neither torch nor a model, so it runs wherever the records are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from bench.failures import read_failures
from bench.findings.sections import View, views
from bench.layout import csv_text
from bench.pages.benchmarks_page import render_benchmarks
from bench.pages.guide import guide
from bench.pages.headline import update_readme
from bench.pages.provenance import facts, remarks, title
from bench.pages.rendered import Report
from bench.pages.searches import render_searches
from bench.plots.figures import save
from bench.plots.trainings import CAPTION
from bench.record_types import readable
from bench.records import read_all, write_text
from bench.sharing.page import render_sharing
from bench.tables import Block, Table, tables
from bench.web.index import index_page
from cookie.errors import UserError, run_main

if TYPE_CHECKING:
    from matplotlib.figure import Figure


SHARING_TITLE, SEARCHES_TITLE = "when does sharing pay?", "what was searched for the settings"
"""Links to the pages that are not of one data set alone."""


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
            made = {SHARING_TITLE: render_sharing(by_name, results)}
        made |= {SEARCHES_TITLE: render_searches(results)}
        pages = {title: path for title, path in made.items() if path is not None}
        with readable("The overview"):
            write_text(results / "README.md", guide(reports, results, pages))
            write_text(results / "index.html", index_page(reports, results, pages))
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
    drawing = _drawn(table.plot(sections), stem)
    training = _drawn(table.training(sections), folder / f"training_{table.number}")
    report = Report(table.number, folder.name, stem.with_suffix(".md"), blocks, drawing, training)
    write_text(stem.with_suffix(".csv"), csv_text(_csv_rows(blocks)))
    write_text(report.path, page(table, report))
    return report


def _drawn(figure: Figure | None, stem: Path) -> Path | None:
    """Store a drawing and return where its SVG is."""
    if figure is None:
        return None
    save(figure, stem)
    return stem.with_suffix(".svg")


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


def page(table: Table, report: Report) -> str:
    """Return the markdown page of a table."""
    name = f"table_{table.number}"
    head = [
        f"# Table {table.number}: {table.title} ({report.dataset})",
        f"What the columns mean: [guide](../README.md). Values: [{name}.csv]({name}.csv). "
        "Rendered from the records beside this page; rendering again changes nothing."
        + " How the rows were [trained](#training)."
        * bool(report.training),
    ]
    plot = [f"![{table.title}]({report.plot.name})"] if report.plot else []
    sections = [part for view, block in report.blocks for part in _section(view, block)]
    tail = [table.tail()] if table.tail() else []
    return "\n\n".join([*head, *plot, *sections, *_training(report), *tail]) + "\n"


def _training(report: Report) -> list[str]:
    if report.training is None:
        return []
    return ["## Training", CAPTION, f"![Loss and validation over steps]({report.training.name})"]


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
