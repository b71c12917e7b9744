"""The command: its errors, its plan, and one small run from end to end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import reproduce
from bench.findings.histories import problems
from bench.records import read
from bench.reproduce import Options, listing, plan
from bench.tables import tables
from cookie.errors import DataError, UserError, run_main
from tests.cookie.data.photographs import entry, jpeg, write_annotations, write_images


def command(
    *arguments: str, home: Path | None = None, timeout: float = 280
) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    environment |= {} if home is None else {"COOKIE_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "bench.reproduce", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=timeout,
    )


def test_listing_names_everything() -> None:
    text = listing()
    for name in (
        "1  Cross-modal",
        "2  Efficiency",
        "6  Growth",
        "7  Length",
        "smoke",
        "single_stream_naive",
    ):
        assert name in text


def test_all_tables_share_their_cells() -> None:
    everything = plan(Options(all=True))
    assert {cell for name in tables for cell in plan(Options(table=name))} == set(everything)
    assert len(everything) == len(set(everything))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "2", "--dataset", "scene"], "did you mean 'scenes'?"),
        (["--table", "2", "--device", "gpu"], "Unknown device 'gpu'"),
        (["--table", "2", "--systems", "cooky"], "did you mean 'cookie'?"),
        (["--table", "3", "--systems", "single_stream"], "measured of single_stream: --list"),
        (["--table", "2", "--seeds", "-1"], "The seed is -1: choose one from 0 to"),
        (["--table", "2", "--seeds", str(2**63)], f"The seed is {2**63}: choose one from 0 to"),
        (["--table", "2", "--seeds", "1", "1"], "--seeds needs one or more numbers, each another"),
        (["--all", "--budget-minutes", "0"], "--budget-minutes needs a positive number"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    line = ["reproduce", *arguments, "--results-dir", str(tmp_path / "results")]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as ended:
        run_main(reproduce.main)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("missing", ["train", "val", "test"])
def test_a_missing_split_is_told_before_any_cell(missing: str, tmp_path: Path) -> None:
    parts = [part for part in ("train", "val", "test") if part != missing]
    write_annotations(tmp_path / "mine", [entry(f"{part}.jpg", part) for part in parts])
    write_images(tmp_path / "mine", {f"{part}.jpg": jpeg(n) for n, part in enumerate(parts)})
    options = Options(table="1", dataset="mine", preset="smoke", device="cpu", data_root=tmp_path)
    with pytest.raises(DataError, match=f"'mine' has no {missing} images, only"):
        reproduce.reproduce(replace(options, results_dir=tmp_path / "results"))
    assert not (tmp_path / "results").exists()


def test_a_results_folder_that_is_a_file_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    (tmp_path / "results").touch()
    options = Options(table="2", preset="smoke", device="cpu", results_dir=tmp_path / "results")
    with pytest.raises(UserError, match=r"results' is no folder, .*: mend --results-dir"):
        reproduce.reproduce(options)
    assert not (tmp_path / "home").exists()


def test_the_command_ends_as_its_main_does(tmp_path: Path) -> None:
    done = command("--table", "22", "--results-dir", str(tmp_path / "results"), home=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"error: .*did you mean '2'\?.*\n", done.stderr)
    assert not (tmp_path / "results").exists()


def test_help_and_list_need_no_torch() -> None:
    code = (
        "import sys; from bench import reproduce; reproduce.listing();"
        "heavy = {'torch', 'scipy', 'matplotlib', 'pandas', 'timm'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_small_run_from_end_to_end(tmp_path: Path) -> None:
    """Plan, run, render; a second run finds everything finished and changes no byte."""
    results, home = tmp_path / "results", tmp_path / "home"
    asked = ["--table", "2", "--preset", "smoke", "--limit", "12", "--device", "cpu"]
    asked += ["--results-dir", str(results)]
    planned = command(*asked, "--dry-run", "--json", home=home)
    assert planned.returncode == 0, planned.stderr
    cells = json.loads(planned.stdout)
    assert not [cell for cell in cells if cell["finished"]]
    assert not list(results.rglob("*.json"))

    first = command(*asked, home=home)
    assert first.returncode == 0, first.stderr
    report = results / "scenes" / "table_2.md"
    assert f"table 2: {report}" in first.stdout
    assert first.stdout.count("\n  C") == 3
    records = [read(path) for path in results.rglob("*.json")]
    assert len(records) == len(cells)
    assert all(made.seconds > 0 for made in records)
    trained = [made for made in records if made.cell.kind == "train"]
    for made in trained:
        assert problems(made.samples, made.values) == []
        assert len(made.samples["log"]["step"]) == made.values["steps"]
    assert len({*map(str, (made.samples["log"]["loss"] for made in trained))}) == len(trained)
    assert (results / "scenes" / "training_1.svg").is_file()
    page = report.read_text()
    assert "first 12 test images" in page
    assert " rounds in turns " in page, "C3 is judged by the cell in which both take turns"
    assert not re.search(r"\b(nan|inf|None)\b", page)
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}

    second = command(*asked, "--json", home=home)
    assert second.returncode == 0, second.stderr
    outcome = json.loads(second.stdout)
    assert outcome["ran"] == 0
    assert outcome["reports"][0]["table"] == "2"
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


def test_a_run_of_limited_time_goes_on_with_the_same_command(tmp_path: Path) -> None:
    """A rehearsal, a run that leaves something out, and the same command once more."""
    results, home = tmp_path / "results", tmp_path / "home"
    asked = ["--table", "1", "--preset", "smoke", "--limit", "12", "--device", "cpu"]
    asked += ["--systems", "ridge_floor", "dual_stream", "--results-dir", str(results)]
    rehearsal = command(*asked, "--budget-minutes", "0.001", "--dry-run", "--json", home=home)
    assert rehearsal.returncode == 0, rehearsal.stderr
    rows = json.loads(rehearsal.stdout)
    states = {row["cell"]: row["state"] for row in rows}
    assert set(states.values()) == {"left out", "runs"} or set(states.values()) == {"left out"}
    assert rows[0]["cell"] == "accuracy ridge_floor seed 0"
    assert not results.exists()

    first = command(*asked, "--budget-minutes", "0.001", home=home)
    assert first.returncode == 0, first.stderr
    assert "cells are left out; " in first.stdout
    assert f"go on with: python -m bench.reproduce {' '.join(asked)}" in first.stdout

    second = command(*asked, "--budget-minutes", "60", "--json", home=home)
    assert second.returncode == 0, second.stderr
    assert "nothing is left out" in second.stderr
    outcome = json.loads(second.stdout)
    assert (outcome["ran"], outcome["failed"], outcome["left_out"]) == (len(rows), {}, [])
    assert len(list(results.rglob("*.json"))) == len(rows)
