"""The README's result table comes from the records and nowhere else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bench.findings.verdicts import CLAIMS
from bench.pages.headline import BEGIN, END, headline, update_readme
from bench.records import Record
from bench.running.record_store import Ledger, RecordStore
from tests.bench.hand_made import whole_section

TEXT = f"before\n{BEGIN}\nold numbers\n{END}\nafter\n"


def made_with(records: list[Record], system: str, *, seed: int) -> Record:
    """Return the system's accuracy record as if of another seed."""
    (made,) = (r for r in records if (r.cell.kind, r.cell.system) == ("accuracy", system))
    return dataclasses.replace(made, cell=dataclasses.replace(made.cell, seed=seed))


def stored(results: Path, records: list[Record]) -> Path:
    for made in records:
        ledger = Ledger(results.parent / "ledger")
        RecordStore(results, made.stamp.dataset, made.section, ledger).write(made)
    return results


def test_headline_names_every_architecture_and_links_the_whole_table(tmp_path: Path) -> None:
    shown = headline(stored(tmp_path / "results", whole_section()))
    for label in ("dual-stream", "COOKIE", "single-stream"):
        assert f"| {label}" in shown
    assert "ridge floor" not in shown
    assert "(results/scenes/table_2.md)" in shown
    assert "- C3 " in shown


def test_a_further_machine_has_its_verdicts_in_a_sentence(tmp_path: Path) -> None:
    slower = {"slug": "slower", "description": "2 slower cores"}
    there = [dataclasses.replace(made, hardware=slower) for made in whole_section()]
    results = stored(tmp_path / "results", there)
    stored(results, [*whole_section(), made_with(whole_section(), "cookie", seed=1)])
    shown = headline(results)
    assert shown.count("whole table") == 1
    assert "preset `tiny` (scratch), 2 cores of a test machine" in shown
    (line,) = (line for line in shown.splitlines() if "2 slower cores" in line)
    assert line.startswith("The same for scenes on 2 slower cores: C1 ")
    assert "; C3 " in line
    assert " RSUM points (" in line


def test_every_claim_has_a_row_and_every_data_set_a_column(tmp_path: Path) -> None:
    shown = headline(stored(tmp_path / "results", whole_section()))
    rows = [line for line in shown.splitlines() if line.startswith("| C")]
    assert [row[2:4] for row in rows if row[4] == ":"] == list(CLAIMS)
    assert "| on scenes" in shown
    assert "on flickr8k" not in shown
    assert "; 1 seed)" in rows[0]
    assert "range over repeats)" in rows[2]


def test_headline_without_records_is_empty(tmp_path: Path) -> None:
    assert headline(tmp_path) == ""


def test_only_what_stands_between_the_marks_changes(tmp_path: Path) -> None:
    results = stored(tmp_path / "results", whole_section())
    readme = tmp_path / "README.md"
    readme.write_text(TEXT)
    assert update_readme(readme, results)
    updated = readme.read_text()
    assert updated == f"before\n{BEGIN}\n{headline(results)}\n{END}\nafter\n"
    assert "old numbers" not in updated
    assert update_readme(readme, results)
    assert readme.read_text() == updated


def test_readme_without_marks_or_without_a_file_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    assert not update_readme(readme, tmp_path)
    assert not readme.exists()
    readme.write_text("no marks here")
    assert not update_readme(readme, tmp_path)
    assert readme.read_text() == "no marks here"
