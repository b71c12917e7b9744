"""Finished cells are kept, whatever ends a run; what changes makes them unfinished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import runner as module
from bench.records import EVERY_SYSTEM, Cell, Record, read_all
from bench.runner import Runner, RunOptions
from bench.workshop import Setup, Workshop
from cookie.files import write_json
from cookie.training.trainer import BEST

CELLS = [
    Cell("train", "cookie", 0),
    Cell("accuracy", "cookie", 0),
    Cell("efficiency", "cookie", 0),
    Cell("latency", EVERY_SYSTEM, 0),
]


class Workers:
    """Stands in for the cells' work: notes what was run, and fails where told."""

    def __init__(self, fails_at: str | None = None) -> None:
        self.ran: list[str] = []
        self.fails_at = fails_at
        self.weights = 0
        self.values: dict[str, Any] = {}

    def runners(self) -> Mapping[str, Any]:
        """Return a stand-in for every kind."""
        return {kind: self.worker(kind) for kind in ("train", "accuracy", "efficiency", "latency")}

    def worker(self, kind: str) -> Any:  # noqa: ANN401 -- a function
        """Return the stand-in for one kind."""

        def work(
            workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
        ) -> tuple[dict[str, Any], dict[str, Any]]:
            if kind == self.fails_at:
                raise KeyboardInterrupt
            self.ran.append(kind)
            if kind == "train":
                self.weights += 1
                facts = {"sha256": f"weights {self.weights}"}
                write_json(workshop.run_dir(system, seed) / f"{BEST}.json", facts)
            return {"kind": kind} | self.values, {}

        return work


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))


def run(
    folder: Path,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
    **options: Any,  # noqa: ANN401
) -> list[str]:
    monkeypatch.setattr(module, "RUNNERS", workers.runners())
    workers.ran.clear()
    limit = options.pop("limit", None)
    workshop = Workshop(Setup("scenes", "smoke", "cpu", limit=limit))
    Runner(workshop, folder / "results", RunOptions(**options)).run(CELLS)
    return workers.ran


def test_everything_runs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers()
    assert run(tmp_path, workers, monkeypatch) == [cell.kind for cell in CELLS]
    assert run(tmp_path, workers, monkeypatch) == []


def test_an_interrupted_run_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Workers(fails_at="efficiency"), monkeypatch)
    kept = [made.cell.kind for made in read_all(tmp_path / "results" / "scenes")]
    assert sorted(kept) == ["accuracy", "train"]
    assert run(tmp_path, Workers(), monkeypatch) == ["efficiency", "latency"]


def test_force_runs_everything_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers()
    run(tmp_path, workers, monkeypatch)
    assert run(tmp_path, workers, monkeypatch, force=True) == [cell.kind for cell in CELLS]


def test_force_trains_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, Workers(), monkeypatch)
    workshop = Workshop(Setup("scenes", "smoke", "cpu"))
    left_over = workshop.run_dir("cookie", 0) / "checkpoint"
    left_over.write_text("old")
    run(tmp_path, Workers(), monkeypatch, force=True)
    assert not left_over.exists()


def test_other_weights_make_accuracy_stale_and_not_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = Workers()
    run(tmp_path, workers, monkeypatch)
    folder = Workshop(Setup("scenes", "smoke", "cpu")).run_dir("cookie", 0)
    write_json(folder / f"{BEST}.json", {"sha256": "other"})
    assert run(tmp_path, workers, monkeypatch) == ["train", "accuracy"]


def test_lost_weights_are_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, Workers(), monkeypatch)
    (Workshop(Setup("scenes", "smoke", "cpu")).run_dir("cookie", 0) / f"{BEST}.json").unlink()
    assert "train" in run(tmp_path, Workers(), monkeypatch)


def finished_training(results: Path) -> Record:
    (found,) = (r for r in read_all(results / "scenes") if r.cell.kind == "train")
    return found


def test_a_training_finished_earlier_gets_the_course_it_took_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = Workers()
    run(tmp_path, workers, monkeypatch)
    before = finished_training(tmp_path / "results")
    assert before.samples == {}
    folder = Workshop(Setup("scenes", "smoke", "cpu")).run_dir("cookie", 0)
    lines = [{"step": 4, "loss": 2.0}, {"step": 4, "validation": 90.0}]
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run(tmp_path, workers, monkeypatch) == []
    assert finished_training(tmp_path / "results").samples == {}, "it is another training's"
    workers.values = {"steps": 4, "best_step": 4, "best_validation": 90.0}
    run(tmp_path, workers, monkeypatch, force=True)
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = finished_training(tmp_path / "results")
    assert run(tmp_path, workers, monkeypatch) == []
    completed = finished_training(tmp_path / "results")
    assert completed.samples["log"] == {"step": [4], "loss": [2.0]}
    assert completed.samples["validation"] == {"step": [4], "score": [90.0]}
    assert replace(completed, samples={}) == made
    assert run(tmp_path, workers, monkeypatch) == [], "it is still finished"
    assert finished_training(tmp_path / "results") == completed


def test_another_protocol_is_another_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, Workers(), monkeypatch)
    again = run(tmp_path, Workers(), monkeypatch, accuracy_seconds=1.0)
    assert again == ["accuracy"]


def test_a_limit_leaves_the_whole_records_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, Workers(), monkeypatch)
    before = {p: p.read_bytes() for p in (tmp_path / "results").rglob("*.json")}
    run(tmp_path, Workers(), monkeypatch, limit=5)
    assert {path: path.read_bytes() for path in before} == before
    assert len(list((tmp_path / "results").rglob("*.json"))) == 2 * len(CELLS)


def test_records_of_another_working_folder_are_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, Workers(), monkeypatch)
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "another"))
    assert run(tmp_path, Workers(), monkeypatch) == [cell.kind for cell in CELLS]


def test_a_record_holds_what_is_needed_to_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, Workers(), monkeypatch)
    for made in read_all(tmp_path / "results" / "scenes"):
        assert made.values == {"kind": made.cell.kind}
        assert made.stamp.config_digest
        assert made.dataset_facts["splits"]["test"]["images"] == 24
        assert made.hardware["slug"] == made.section.hardware
        assert {"packages", "threads", "commit", "before", "after"} <= set(made.environment)
        assert made.created.endswith("+00:00")
