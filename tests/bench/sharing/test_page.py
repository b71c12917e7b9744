"""The page on sharing: from records alone, over all data sets, complete and repeatable."""

from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path

import pytest

from bench.checks.pages import broken_links, stale
from bench.findings.sections import views
from bench.records import Record
from bench.report import render_all
from bench.sharing.page import render_sharing, said
from tests.bench.hand_made import uniform, whole_section
from tests.bench.sharing.test_gaps import both
from tests.bench.test_report import stored


def photographs(records: list[Record]) -> list[Record]:
    return [
        dataclasses.replace(made, stamp=dataclasses.replace(made.stamp, dataset="flickr8k"))
        for made in records
    ]


def world() -> list[Record]:
    """Sharing pays where pairs are few, on one data set, and never on the other."""
    scenes = [*both("tenth", 20, 8), *both("", 30, 29), *both("16x", 32, 32)]
    scenes += [*both("depth_4", 30, 20), *both("", 30, 12, "cookie_image_text")[3:]]
    return [*scenes, *photographs([*both("half", 20, 20), *both("", 21, 20)])]


@pytest.mark.usefixtures("undrawn")
def test_every_data_set_has_its_section_with_its_findings(tmp_path: Path) -> None:
    results = stored(tmp_path / "results", world())
    render_all(results)
    page = (results / "when_sharing_pays.md").read_text()
    assert re.findall(r"^## (\w+): Preset", page, re.MULTILINE) == ["flickr8k", "scenes"]
    flickr, scenes = page.split("## scenes: ")
    assert "it pays at 8 pairs" in scenes
    assert "nothing was found" in flickr
    assert "flickr8k has no further training pairs" in flickr
    assert "400% of the pairs (not trained and evaluated yet)" in scenes
    assert "## How to read it, and what would prove it wrong" in page
    assert not re.search(r"\b(nan|inf|None)\b", page)
    assert "#### By training pairs" in scenes
    assert "#### By depth" in scenes


def test_files_links_and_bytes(tmp_path: Path) -> None:
    results = stored(tmp_path / "results", world())
    render_all(results)
    for suffix in (".md", ".csv", ".svg", ".png"):
        assert (results / f"when_sharing_pays{suffix}").stat().st_size > 0
    assert "(when_sharing_pays.md)" in (results / "README.md").read_text()
    assert 'href="when_sharing_pays.md"' in (results / "index.html").read_text()
    assert not broken_links(results)
    assert not stale(results)
    (results / "when_sharing_pays.md").write_text("changed")
    assert [Path(item.path).name for item in stale(results)] == ["when_sharing_pays.md"]


@pytest.mark.usefixtures("undrawn")
def test_the_csv_holds_the_numbers(tmp_path: Path) -> None:
    results = stored(tmp_path / "results", world())
    render_all(results)
    with (results / "when_sharing_pays.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert not any(name.endswith("text") for name in rows[0])
    (tenth,) = (row for row in rows if row["dataset"] == "scenes" and row["place"] == "8")
    assert float(tenth["difference"]) == 180.0
    assert float(tenth["low"]) <= 180.0 <= float(tenth["high"])
    assert (tenth["axis"], tenth["told"], tenth["seeds"]) == ("pairs", "pays", "3")
    assert {row["told"] for row in rows if row["dataset"] == "flickr8k"} == {"no"}


@pytest.mark.usefixtures("undrawn")
def test_without_gaps_there_is_no_page(tmp_path: Path) -> None:
    results = stored(tmp_path / "results", [*whole_section(), uniform("unshared_equal_tenth", 3)])
    render_all(results)
    assert not list(results.glob("when_sharing_pays*"))
    assert "sharing" not in (results / "README.md").read_text().partition("## Tables")[2]
    assert render_sharing({"scenes": views(whole_section())}, results) is None


@pytest.mark.usefixtures("undrawn")
def test_sections_of_different_machines_stay_apart(tmp_path: Path) -> None:
    records = both("", 30, 10)
    other = [
        dataclasses.replace(made, hardware={"slug": "gpu", "description": "a GPU"})
        for made in both("", 10, 30)
    ]
    results = stored(tmp_path / "results", [*records, *other])
    render_all(results)
    page = (results / "when_sharing_pays.md").read_text()
    assert page.count("## scenes: Preset") == 2
    assert page.count("it costs at 80 pairs") == page.count("it pays at 80 pairs") == 1


def test_the_command_says_what_its_own_section_says(tmp_path: Path) -> None:
    results = stored(tmp_path / "results", world())
    found = said(results / "flickr8k", views(photographs(both("", 21, 20)))[0].section)
    assert [sentence.partition(":")[0] for sentence in found] == ["Sharing by training pairs"]


@pytest.mark.usefixtures("undrawn")
def test_small_images_of_the_section(tmp_path: Path) -> None:
    """One seed and one point are enough for a page that decides nothing."""
    records = [uniform("cookie", 20), uniform("cookie_image_text", 5)]
    results = stored(tmp_path / "results", records)
    render_all(results)
    page = (results / "when_sharing_pays.md").read_text()
    assert "nothing is decided" in page
    assert "The spread between trainings takes two seeds." in page
