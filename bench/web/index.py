"""``results/index.html``: every table, plot and claim on one page that needs nothing else."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.findings.sections import View
from bench.findings.verdicts import Finding, Verdict
from bench.layout import Footnotes
from bench.pages.guide import (
    ENDING,
    INTRODUCTION,
    claim_grid,
    column_meanings,
    link_to,
)
from bench.pages.provenance import facts, remarks, title
from bench.pages.rendered import Report
from bench.plots.trainings import CAPTION
from bench.tables import Block, tables
from bench.web.examples import examples_markup
from bench.web.markup import Markup, join, prose, tag
from bench.web.tables import block_markup, grid_markup

HERE = Path(__file__).parent
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""Nothing is fetched, whatever the page holds."""


def index_page(reports: Sequence[Report], results: Path, pages: Mapping[str, Path]) -> str:
    """Return the page; the same reports give the same bytes.

    Args:
        reports: the tables.
        results: the folder that the page lies in.
        pages: further pages over all data sets, by title; they are linked.
    """
    datasets = list(dict.fromkeys(report.dataset for report in reports))
    parts = [
        tag("h1", "Results"),
        tag("p", prose(INTRODUCTION)),
        _contents(reports, pages),
        _claims(reports, results),
        *(_dataset(name, reports, results) for name in datasets),
        _appendix(reports),
        _columns(reports),
    ]
    body = tag("body", tag("main", *parts), tag("script", Markup(_asset("script.js"))))
    return f"<!DOCTYPE html>\n{tag('html', _head(), body, lang='en')}\n"


def _head() -> Markup:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        tag("title", "Results"),
        tag("style", Markup(_asset("style.css"))),
    )


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _anchor(report: Report) -> str:
    return f"{report.dataset}-table-{report.table}"


def _contents(reports: Sequence[Report], pages: Mapping[str, Path]) -> Markup:
    items = [
        tag(
            "li",
            tag(
                "a",
                f"{report.dataset}: table {report.table}, {tables[report.table].title}",
                href=f"#{_anchor(report)}",
            ),
        )
        for report in reports
    ]
    items += [
        tag("li", tag("a", f"All data sets: {title}", href=path.name))
        for title, path in pages.items()
    ]
    first = tag("li", tag("a", "Claims", href="#claims"))
    last = tag("li", tag("a", "Columns", href="#columns"))
    return tag("nav", tag("ul", first, *items, last), aria_label="Contents")


def _claims(reports: Sequence[Report], results: Path) -> Markup:
    grid = claim_grid(reports, results)
    heading = tag("h2", grid.heading)
    table = grid_markup(grid, Footnotes(), "claims", "The claims and what was measured")
    return tag("section", heading, table, id="claims", class_="claims")


def _dataset(name: str, reports: Sequence[Report], results: Path) -> Markup:
    own = [report for report in reports if report.dataset == name]
    views = {view.section: view for report in own for view, _ in report.blocks}
    pictures = [examples_markup(view) for view in views.values()]
    heading = tag("h2", f"Data set {name}")
    return tag("section", heading, *(_table(report, results) for report in own), *pictures)


def _table(report: Report, results: Path) -> Markup:
    name, table = _anchor(report), tables[report.table]
    page = link_to(report, results)
    words = f"As [markdown]({page}), as [CSV]({page.removesuffix('.md')}.csv)."
    trained = f" How the rows were [trained](#{name}-training)." * bool(report.training)
    links = tag("p", prose(words + trained))
    sections = [
        _section(view, block, f"{name}-{number}", f"{table.title}, {view.section.name}")
        for number, (view, block) in enumerate(report.blocks, 1)
    ]
    heading = tag("h3", f"Table {table.number}: {table.title} ({report.dataset})")
    plot = _figure(report.plot, name, f"{table.title} ({report.dataset})")
    return tag("section", heading, links, plot, *sections, _training(report), id=name)


def _section(view: View, block: Block, name: str, caption: str) -> Markup:
    return join(
        [
            tag("h4", prose(title(view))),
            tag("ul", *map(_verdict, block.verdicts), class_="verdicts") if block.verdicts else "",
            block_markup(block, name, caption),
            _provenance(view),
        ]
    )


def _verdict(verdict: Verdict | Finding) -> Markup:
    if isinstance(verdict, Finding):
        return tag("li", tag("strong", verdict.subject), ": ", prose(verdict.reason))
    kind = f"outcome {verdict.outcome.replace(' ', '-')}"
    outcome = tag("span", verdict.outcome, class_=kind)
    return tag("li", tag("strong", verdict.claim), " ", outcome, ": ", prose(verdict.reason))


def _provenance(view: View) -> Markup:
    lines = [*facts(view), *remarks(view)]
    items = [tag("li", prose(line.removeprefix("- "))) for line in lines]
    return tag("details", tag("summary", "Provenance"), tag("ul", *items))


def _training(report: Report) -> Markup:
    if report.training is None:
        return Markup("")
    name = f"{_anchor(report)}-training"
    heading = tag("h4", f"Training of the rows of table {report.table} ({report.dataset})")
    drawing = _figure(report.training, name, "Training loss and validation RSUM over steps")
    return tag("section", heading, tag("p", CAPTION), drawing, id=name)


def _figure(drawing: Path | None, name: str, caption: str) -> Markup:
    """Return the drawing inlined; its names are made the figure's own."""
    if drawing is None:
        return Markup("")
    text = drawing.read_text(encoding="utf-8")
    return tag("figure", inlined(text, name, caption), tag("figcaption", caption))


def inlined(svg: str, prefix: str, words: str) -> Markup:
    """Return an SVG file as an element: no prologue, no metadata, every name with ``prefix``.

    Args:
        svg: content of the file.
        prefix: put before its names, so that they are the drawing's own.
        words: what is read aloud in the drawing's place.
    """
    drawing = svg[svg.index("<svg") :]
    drawing = re.sub(r"\s*<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    for before in ('id="', 'href="#', "url(#"):
        drawing = drawing.replace(before, f"{before}{prefix}-")
    label = f'<svg role="img" aria-label="{html.escape(words)}" '
    return Markup(drawing.replace("<svg ", label, 1).strip())


def _appendix(reports: Sequence[Report]) -> Markup:
    shown = dict.fromkeys(report.table for report in reports)
    grids = {grid.heading: grid for number in shown for grid in tables[number].appendix()}
    notes = {note.heading: note for number in shown for note in tables[number].notes}
    parts = [
        *(
            join([tag("h2", grid.heading), grid_markup(grid, Footnotes(), "", grid.heading)])
            for grid in grids.values()
        ),
        *(
            join([tag("h2", note.heading), tag("ul", *(tag("li", prose(x)) for x in note.lines))])
            for note in notes.values()
        ),
    ]
    return tag("section", *parts) if parts else Markup("")


def _columns(reports: Sequence[Report]) -> Markup:
    items = [tag("li", prose(line)) for line in column_meanings(reports)]
    heading = tag("h2", "Columns")
    return tag("section", heading, tag("ul", *items), tag("p", prose(ENDING)), id="columns")
