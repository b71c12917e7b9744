"""Grids as HTML: the same cells as in markdown, sorted by what they mean."""

from __future__ import annotations

import re
from html import unescape

import pytest

from bench.findings.sections import views
from bench.layout import Column, Footnotes, Grid, Marked, Missing, duration, markdown_table
from bench.tables import lay_out, tables
from bench.web.markup import Markup
from bench.web.tables import block_markup, grid_markup, sort_key
from tests.bench.hand_made import whole_section

COLUMNS = (Column("name", "name", align="left"), Column("time", "time", duration))


def cells(text: str) -> list[list[str]]:
    """Return the words of every row's cells; superscripts are footnotes."""
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    return [
        [
            unescape(re.sub(r"<[^>]+>", "", re.sub(r"<sup>.*?</sup>", "", cell)))
            for cell in re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row)
        ]
        for row in rows
    ]


def test_cells_are_those_of_the_markdown_table() -> None:
    (view,) = views(whole_section())
    for number in ("1", "2"):
        for grid in tables[number].block(view).grids:
            shown = cells(grid_markup(grid, Footnotes(), "x", ""))
            lines = markdown_table(grid.columns, grid.rows, Footnotes()).splitlines()
            rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            expected = [[re.sub(r" \[[a-z]+\]", "", cell) for cell in row] for row in rows]
            assert shown == [expected[0], *expected[2:]]


def test_footnotes_are_links_to_their_reasons() -> None:
    rows = [{"name": Marked("a & b", "Why <so>."), "time": Missing("Not yet.")}]
    block = lay_out([Grid(COLUMNS, rows)], rows)
    text = block_markup(block, "t", "Of a `block`")
    assert 'a &amp; b<sup><a href="#t-a">a</a></sup>' in text
    assert 'n/a<sup><a href="#t-b">b</a></sup>' in text
    assert '<li id="t-a"><b>a</b> Why &lt;so&gt;.</li>' in text
    assert text.count("<li ") == 2
    assert "<caption>Of a <code>block</code></caption>" in text
    assert 'aria-label="Of a block"' in text


def test_the_first_cell_names_its_row() -> None:
    text = grid_markup(Grid(COLUMNS, [{"name": "a", "time": 1.0}]), Footnotes(), "t", "Named")
    assert '<th scope="row" class="left" data-sort="a">a</th>' in text
    assert '<td class="right" data-sort="1.0">1 s</td>' in text
    assert text.count('scope="col"') == 2
    assert isinstance(text, Markup)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "3.0"),
        (0.25, "0.25"),
        ("48.4 s", "48.4"),
        ("2.5 min, 3 min", "150.0"),
        ("900 µs", repr(900 * 1e-6)),
        ("1.2 h", "4320.0"),
        ("388.5 (377.1 to 399.6)", "388.5"),
        ("**388.5**", "388.5"),
        ("+29.6 (+18.7 to +40.5)", "29.6"),
        ("-15.0 to +41.4", "-15.0"),
        ("1,000 + 5,000", "1000.0"),
        ("3 solutions", "3.0"),
        ("COOKIE, top 16", "cookie, top 16"),
        ("-", None),
        ("", None),
        (Missing("no"), None),
        (Marked(7, "remark"), "7.0"),
    ],
)
def test_what_a_cell_is_sorted_by(value: object, expected: str | None) -> None:
    assert sort_key(value) == expected
