"""What holds for every table, on one section that has records for all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.findings.sections import View, views
from bench.findings.sharing import DECIDING
from bench.findings.verdicts import CLAIMS, Verdict
from bench.layout import Footnotes, csv_text, markdown_table
from bench.pages.guide import claim_grid
from bench.records import Record
from bench.report import render_all
from bench.tables import tables
from bench.web.tables import grid_markup
from tests.bench.findings.test_unimodal import noise, texts
from tests.bench.hand_made import (
    evaluations,
    growth,
    shortlist_speed,
    shortlists,
    uniform,
    whole_section,
)
from tests.bench.tables.test_table_3_and_4 import images
from tests.bench.tables.test_table_8 import DUAL, PAIR
from tests.bench.test_report import stored
from tests.bench.web.test_tables import cells

MEDIANS = {"dual_stream": 1e-3, "cookie": 2e-3, "single_stream": 0.5, "two_stage": 0.02}
LENGTHS = {"alone": 8, "1": 8, "2": 16, "whole": 20}


def everything() -> list[Record]:
    times = {name: 0.01 * place for place, name in enumerate(LENGTHS, 1)}
    return [
        *whole_section(),
        *(uniform(name, 20 + place) for place, name in enumerate(DECIDING)),
        *(images(name, mean, ("scene_graph",)) for name, mean in (("cookie", 60), REFERENCE)),
        texts("cookie", noise(60, 1)),
        texts("dual_stream", noise(50, 2)),
        *(growth(size, MEDIANS) for size in (1_000, 10_000)),
        shortlists(LENGTHS),
        shortlist_speed(times),
        evaluations({"cookie": [1.2] * 6, "single_stream": [4000.0] * 6}),
        DUAL,
        PAIR,
    ]


REFERENCE = ("dual_stream", 50)


@pytest.fixture(scope="module")
def view() -> View:
    (found,) = views(everything())
    return found


@pytest.mark.parametrize("number", sorted(tables))
def test_both_pages_show_the_same_cells(number: str, view: View) -> None:
    assert tables[number].has_rows(view)
    block = tables[number].block(view)
    assert block.grids
    for grid in block.grids:
        head, _, *body = markdown_table(grid.columns, grid.rows, Footnotes()).splitlines()
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, *body)]
        expected = [[re.sub(r" \[[a-z]+\]", "", cell) for cell in line] for line in lines]
        assert cells(grid_markup(grid, Footnotes(), "x", "")) == expected
        assert body
        assert all(set(row) >= {column.key for column in grid.columns} for row in grid.rows)


@pytest.mark.parametrize("number", sorted(tables))
def test_printed_values_stay_out_of_the_csv(number: str, view: View) -> None:
    text = csv_text(tables[number].block(view).rows)
    assert "_text" not in text.splitlines()[0]
    assert "Missing(" not in text
    assert "Marked(" not in text


def test_only_claims_are_called_claims(view: View) -> None:
    found = {number: tables[number].block(view).verdicts for number in tables}
    claims = {n: [x.number for x in v if isinstance(x, Verdict)] for n, v in found.items()}
    assert claims == {
        **{"1": ["C1", "C2"], "2": ["C1", "C2", "C3"], "3": ["C4"], "4": ["C5"], "5": ["C6"]},
        **{"6": [], "7": [], "8": []},
    }
    assert len(found["6"]) == len(found["7"]) == 2


@pytest.mark.usefixtures("undrawn")
def test_every_claim_has_its_number_and_its_link(tmp_path: Path) -> None:
    results = stored(tmp_path / "results", everything())
    rows = claim_grid(render_all(results), results).rows
    assert [row["claim"].split("**")[1] for row in rows] == list(CLAIMS)
    for row in rows:
        number = CLAIMS[row["claim"].split("**")[1]].table
        assert row["table"] == f"[table {number}](scenes/table_{number}.md)"
        assert row["effect"] != "-"
        assert " to " in row["bounds"]
    tested = {row["claim"].split("**")[1]: row["p_value"] != "-" for row in rows}
    assert tested == {number: number != "C3" for number in CLAIMS}


@pytest.mark.usefixtures("undrawn")
def test_the_one_page_tells_what_every_page_notes(tmp_path: Path) -> None:
    results = stored(tmp_path / "results", everything())
    render_all(results)
    page = (results / "index.html").read_text()
    for table in (tables[number] for number in tables):
        for note in table.notes:
            assert page.count(f"<h2>{note.heading}</h2>") == 1
            assert note.markdown in (results / "scenes" / f"table_{table.number}.md").read_text()
        for grid in table.appendix():
            assert page.count(f"<h2>{grid.heading}</h2>") == 1
