"""What is told of a run: counts, JSON, and an error where nothing succeeded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.findings.sections import views
from bench.pages.rendered import Report
from bench.records import Cell
from bench.running.choice import Choice, Estimate
from bench.running.outcome import Outcome, as_json, print_reports
from bench.tables import tables
from cookie.errors import UserError
from tests.bench.hand_made import whole_section

CELL = Cell("load", "cookie", 0)
LEFT_OUT = Choice(Estimate(CELL, finished=False, seconds=30.0, source="rough"), "left out", "late")


def test_counts_are_told_where_there_are_any() -> None:
    assert Outcome(3, {}).sentence(61.4) == "3 cells run, the others were finished; 61 s in all"
    told = Outcome(3, {CELL: "no"}, [LEFT_OUT, LEFT_OUT]).sentence(5)
    assert told == "3 cells run, 1 failed, 2 left out, the others were finished; 5 s in all"


def test_only_a_run_without_any_success_is_an_error() -> None:
    for outcome in (Outcome(0, {}), Outcome(1, {CELL: "no"}), Outcome(2, {})):
        assert outcome.checked() is outcome
    with pytest.raises(UserError, match=r"^first$"):
        Outcome(0, {CELL: "first", Cell("train", "cookie", 0): "second"}).checked()


def report() -> Report:
    (view,) = views(whole_section())
    block = tables["2"].block(view)
    return Report("2", "scenes", Path("results/scenes/table_2.md"), ((view, block),))


def test_the_outcome_as_json() -> None:
    told = json.loads(as_json(Outcome(3, {CELL: "no"}, [LEFT_OUT]), [report()], 5.5, {}))
    assert (told["ran"], told["seconds"]) == (3, 5.5)
    assert told["failed"] == {"load cookie seed 0": "no"}
    assert told["left_out"][0] == {
        **{"cell": "load cookie seed 0", "finished": False, "seconds": 30.0, "source": "rough"},
        **{"state": "left out", "reason": "late"},
    }
    assert told["reports"][0]["table"] == "2"


def test_verdicts_are_printed_for_the_section_that_was_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = report()
    section = made.blocks[0][0].section
    print_reports([made], section, {"results/page.md": ["It pays."]})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "table 2: results/scenes/table_2.md"
    assert [line.split()[0] for line in lines[1:4]] == ["C1", "C2", "C3"]
    assert lines[4:] == ["on sharing: results/page.md", "  It pays."]
    print_reports([made], type(section)("smoke", "scratch", "elsewhere"), {})
    assert capsys.readouterr().out.splitlines() == lines[:1]
