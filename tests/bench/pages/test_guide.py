"""The table of claims: what was judged where, and what was not measured."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bench.findings.verdicts import CLAIMS, Effect
from bench.pages.guide import claim_grid, effect_columns
from bench.records import Record
from bench.report import render_all
from tests.bench.hand_made import uniform, whole_section
from tests.bench.test_report import stored


def claims(results: Path, records: list[Record]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {number: [] for number in CLAIMS}
    for row in claim_grid(render_all(stored(results, records)), results).rows:
        found[row["claim"].split("**")[1]].append(dict(row))
    return found


@pytest.mark.usefixtures("undrawn")
def test_every_claim_has_a_row(tmp_path: Path) -> None:
    found = claims(tmp_path / "results", whole_section())
    assert {number: len(rows) for number, rows in found.items()} == dict.fromkeys(CLAIMS, 1)
    (first,) = found["C1"]
    assert first["outcome"] == "**holds**"
    assert first["effect"] == "+210.0 RSUM points"
    assert first["data"] == "scenes, tiny, two-core-test"
    assert first["table"] == "[table 1](scenes/table_1.md)"


@pytest.mark.usefixtures("undrawn")
def test_what_no_table_judges_is_not_measured_yet(tmp_path: Path) -> None:
    found = claims(tmp_path / "results", whole_section())
    for number, table in (("C4", "3"), ("C5", "4"), ("C6", "5")):
        (row,) = found[number]
        assert row["outcome"] == "not measured yet"
        assert row["table"] == f"table {table}"
        assert row["effect"] == row["bounds"] == row["p_value"] == "-"


@pytest.mark.usefixtures("undrawn")
def test_a_section_that_lacks_records_is_no_verdict(tmp_path: Path) -> None:
    found = claims(tmp_path / "results", [uniform("cookie", 20), uniform("dual_stream", 20)])
    assert found["C1"][0]["outcome"] == "**undecided**"
    assert found["C2"][0]["outcome"] == found["C3"][0]["outcome"] == "not measured yet"


@pytest.mark.usefixtures("undrawn")
def test_each_section_is_judged_once(tmp_path: Path) -> None:
    other = [
        dataclasses.replace(made, hardware={"slug": "gpu", "description": "a GPU"})
        for made in whole_section()
    ]
    found = claims(tmp_path / "results", [*whole_section(), *other])
    assert [row["data"] for row in found["C1"]] == [
        "scenes, tiny, gpu",
        "scenes, tiny, two-core-test",
    ]


def test_a_range_is_not_called_an_interval() -> None:
    ratio = Effect(3.06, "per mille", 2.86, 3.22, "range over repeats", signed=False)
    assert effect_columns(ratio) == {
        "effect": "3.06 per mille",
        "bounds": "2.86 to 3.22 (range over repeats)",
        "p_value": "-",
        "seeds": "-",
    }
    difference = Effect(-1.0, "RSUM points", -2.0, 0.5, p_value=0.123, seeds=3)
    assert effect_columns(difference) == {
        "effect": "-1.0 RSUM points",
        "bounds": "-2.0 to +0.5",
        "p_value": "0.12",
        "seeds": "3",
    }


@pytest.mark.parametrize("words", ["## Claims", "## Tables", "## Columns", "(index.html)"])
def test_the_guide_has_its_parts(rendered: Path, words: str) -> None:
    assert words in (rendered / "README.md").read_text()
