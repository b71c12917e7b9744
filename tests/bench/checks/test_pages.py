"""Stale, missing and left-over files are named; links are followed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.checks.pages import broken_links, links, stale
from bench.report import render_all
from tests.bench.hand_made import uniform
from tests.bench.test_report import stored


def test_what_was_just_rendered_is_not_stale(rendered: Path) -> None:
    assert stale(rendered) == []
    assert broken_links(rendered) == []


def test_looking_changes_nothing(rendered: Path) -> None:
    before = {path: path.read_bytes() for path in rendered.rglob("*") if path.is_file()}
    (rendered / "scenes" / "table_1.md").write_text("edited")
    stale(rendered)
    after = {path: path.read_bytes() for path in rendered.rglob("*") if path.is_file()}
    assert after.pop(rendered / "scenes" / "table_1.md") == b"edited"
    assert after.items() <= before.items()


@pytest.mark.parametrize("name", ["table_1.md", "table_2.csv", "table_2.svg", "table_2.png"])
def test_an_edited_file_is_named(rendered: Path, name: str) -> None:
    path = rendered / "scenes" / name
    path.write_bytes(path.read_bytes().replace(b"2", b"3"))
    (finding,) = stale(rendered)
    assert finding.path == str(path)
    assert f"table {name[6]} of scenes is not what its records give" in finding.problem


def test_a_new_record_makes_the_tables_stale(rendered: Path) -> None:
    stored(rendered, [uniform("cookie", 1)])
    names = {Path(finding.path).name for finding in stale(rendered)}
    assert {"table_1.md", "table_1.csv", "table_2.md", "table_2.csv"} <= names


def test_missing_and_left_over_files_are_named(rendered: Path) -> None:
    (rendered / "scenes" / "table_1.csv").unlink()
    (rendered / "scenes" / "table_9.md").write_text("# no table\n")
    missing, left_over = stale(rendered)
    assert "table 1 of scenes is missing" in missing.problem
    assert "table 9 of scenes is left over" in left_over.problem


def test_the_readme_beside_the_results_is_checked(rendered: Path) -> None:
    readme = rendered.parent / "README.md"
    readme.write_text("<!-- generated: headline -->\nold\n<!-- /generated -->\n")
    (finding,) = stale(rendered)
    assert finding.path == str(readme.resolve())
    render_all(rendered)
    assert stale(rendered) == []


def test_drawings_of_another_matplotlib_are_compared_by_their_words(rendered: Path) -> None:
    path = rendered / "scenes" / "table_2.svg"
    other = re.sub(r"Matplotlib v[\d.]+", "Matplotlib v2.0", path.read_text())
    moved = other.replace("M 0", "M 1")
    assert moved != other
    path.write_text(moved)
    (rendered / "scenes" / "table_2.png").write_bytes(b"drawn otherwise")
    assert stale(rendered) == []
    path.write_text(other.replace("COOKIE</text>", "BISCUIT</text>"))
    assert [finding.path for finding in stale(rendered)] == [str(path)]


def test_links_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A heading, with `code`\n")
    (tmp_path / "page.md").write_text(
        "[web](https://example.org) [a](there.md) [b](there.md#a-heading-with-code) "
        "[c](gone.md) [d](there.md#gone) ![e](gone.svg)"
    )
    (tmp_path / "page.html").write_text(
        '<a href="#here">x</a><a href="#gone">x</a><p id="here"><a href="there.md">x</a>'
        '<img src="data:image/png;base64,AA=="><img src="gone.png">'
    )
    found = [(Path(f.path).name, f.problem.split("'")[1]) for f in broken_links(tmp_path)]
    assert found == [
        ("page.html", "#gone"),
        ("page.html", "gone.png"),
        ("page.md", "gone.md"),
        ("page.md", "there.md#gone"),
        ("page.md", "gone.svg"),
    ]
    assert links(tmp_path / "there.md") == []
