"""Finished cells are kept, whatever ends a run; what changes makes them unfinished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.environment import MachineState
from bench.failures import read_failures
from bench.material.workshop import Setup, Workshop
from bench.records import EVERY_SYSTEM, Cell, Record, read_all
from bench.running import cell_runners
from bench.running import runner as module
from bench.running.cell_runners import Result
from bench.running.outcome import Outcome
from bench.running.runner import Runner, RunOptions
from cookie.errors import UserError
from cookie.files import write_json
from cookie.shortage import tell_halved
from cookie.training.trainer import BEST

CELLS = [
    Cell("train", "cookie", 0),
    Cell("accuracy", "cookie", 0),
    Cell("efficiency", "cookie", 0),
    Cell("latency", EVERY_SYSTEM, 0),
]


class Workers:
    """Stands in for the cells' work: notes what was run, and fails where told."""

    def __init__(self, fails_at: str | None = None, error: BaseException | None = None) -> None:
        self.ran: list[str] = []
        self.fails_at, self.error = fails_at, error or KeyboardInterrupt()
        self.weights = 0
        self.outcome = Outcome(0, {})
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
                raise self.error
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
    monkeypatch.setattr(cell_runners, "RUNNERS", workers.runners())
    workers.ran.clear()
    limit = options.pop("limit", None)
    workshop = Workshop(Setup("scenes", "smoke", "cpu", limit=limit))
    runner = Runner(workshop, folder / "results", RunOptions(**options))
    workers.outcome = runner.run(CELLS)
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


def reasons(folder: Path) -> dict[str, str]:
    found = read_failures(folder / "results" / "scenes")
    return {failure.cell.kind: failure.reason for failure in found}


ONE_CELL = [
    (UserError("The gallery is broken: mend it."), "The gallery is broken: mend it."),
    (MemoryError("too little"), "It did not fit into the memory (too little)."),
    (torch.OutOfMemoryError("CUDA out of memory. Tried"), "(CUDA out of memory)."),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "can't allocate memory)."),
]


@pytest.mark.parametrize(("error", "reason"), ONE_CELL)
def test_a_cell_that_fails_does_not_lose_the_others(
    error: Exception,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workers = Workers("efficiency", error)
    assert run(tmp_path, workers, monkeypatch) == ["train", "accuracy", "latency"]
    assert workers.outcome.ran == 3
    (kept,) = workers.outcome.failed.values()
    assert kept.endswith(reason)
    assert reasons(tmp_path) == {"efficiency": kept}
    assert f"failed: efficiency cookie seed 0: {kept}" in capsys.readouterr().err

    again = Workers()
    assert run(tmp_path, again, monkeypatch) == ["efficiency"], "a failure is not finished"
    assert reasons(tmp_path) == {}


def test_a_failure_does_not_take_the_place_of_an_earlier_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, Workers(), monkeypatch)
    before = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*.json")}
    run(tmp_path, Workers("accuracy", MemoryError()), monkeypatch, accuracy_seconds=1.0, force=True)
    accuracy = [path for path in before if "accuracy" in path.name]
    assert {path: path.read_bytes() for path in accuracy} == {p: before[p] for p in accuracy}


def test_what_needs_a_failed_training_is_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Cell("accuracy", "ridge_floor", 0)
    monkeypatch.setattr("tests.bench.running.test_runner.CELLS", [*CELLS, other])
    workers = Workers("train", UserError("The encoder is not installed."))
    assert run(tmp_path, workers, monkeypatch) == ["accuracy"], "the floor needs no training"
    needs = "It needs 'train cookie seed 0', which has no result."
    assert workers.outcome.failed == {
        CELLS[0]: "The encoder is not installed.",
        **dict.fromkeys(CELLS[1:4], needs),
    }


def test_where_no_cell_can_be_run_the_first_reason_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"^The encoder is not installed\.$"):
        run(tmp_path, Workers("train", UserError("The encoder is not installed.")), monkeypatch)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("wrong")])
def test_an_error_of_the_program_ends_the_run(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(type(error), match=str(error)):
        run(tmp_path, Workers("accuracy", error), monkeypatch)
    assert reasons(tmp_path) == {}


def test_an_unknown_preset_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown preset"):
        Workshop(Setup("scenes", "tinny", "cpu"))
    with pytest.raises(UserError, match="did you mean 'scenes'"):
        Runner(Workshop(Setup("scene", "smoke", "cpu")), tmp_path, RunOptions())


def test_halved_batches_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers()
    runners = dict(workers.runners())

    def halving(*arguments: Any) -> Any:  # noqa: ANN401
        tell_halved(64, "pairs")
        return runners["efficiency"](*arguments)

    monkeypatch.setattr(workers, "runners", lambda: {**runners, "efficiency": halving})
    run(tmp_path, workers, monkeypatch)
    told = {
        made.cell.kind: made.environment.get("shortages")
        for made in read_all(tmp_path / "results" / "scenes")
    }
    line = "out of memory with 64 pairs at a time: going on with 32"
    assert told == {"train": None, "accuracy": None, "efficiency": [line], "latency": None}


@pytest.mark.parametrize(("processes", "told"), [(None, False), (1, False), (2, True)])
def test_a_foreign_process_on_the_gpu_is_told_of_with_the_timings(
    processes: int | None,
    told: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = MachineState(None, 1, None, gpu_processes=processes)
    monkeypatch.setattr(module, "machine_state", lambda _: state)
    run(tmp_path, Workers(), monkeypatch)
    lines = [line for line in capsys.readouterr().err.splitlines() if "other processes" in line]
    assert len(lines) == (2 if told else 0)
    if told:
        assert lines[0].startswith("efficiency cookie seed 0 was timed while other processes")


def test_a_timed_cell_is_run_alone_where_its_protocol_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[str] = []

    def run_alone(workshop: Workshop, cell: Cell, protocol: Mapping[str, Any]) -> Result:
        assert protocol["process"] == "its own"
        alone.append(cell.kind)
        return Result({"kind": cell.kind}, {"raw": [1.0]}, ["halved"])

    monkeypatch.setattr(module, "run_alone", run_alone)
    monkeypatch.setattr("bench.running.protocols.process_of", lambda _: "its own")
    assert run(tmp_path, Workers(), monkeypatch) == ["train", "accuracy"]
    assert alone == ["efficiency", "latency"]
    kept = {made.cell.kind: made for made in read_all(tmp_path / "results" / "scenes")}
    assert kept["latency"].samples == {"raw": [1.0]}
    assert kept["latency"].environment["shortages"] == ["halved"]
