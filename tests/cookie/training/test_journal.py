"""The log survives kills and forgets what a resumed run will do again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cookie.training.journal import Journal, read_history


def test_lines_are_numbers_by_step(tmp_path: Path):
    with Journal(tmp_path, 0) as journal:
        journal.write(1, {"loss": 2.5})
        journal.write(2, {"loss": 1.5})
    assert read_history(tmp_path / "history.jsonl") == [
        {"step": 1, "loss": 2.5},
        {"step": 2, "loss": 1.5},
    ]


def test_a_resumed_run_drops_what_came_after_its_checkpoint(tmp_path: Path):
    with Journal(tmp_path, 0) as journal:
        for step in (1, 2, 3):
            journal.write(step, {"loss": float(step)})
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    with Journal(tmp_path, 2) as journal:
        journal.write(3, {"loss": 9.0})
    assert [line["loss"] for line in read_history(journal.path)] == [1.0, 2.0, 9.0]


def test_other_processes_write_nothing(tmp_path: Path):
    with Journal(tmp_path, 0, active=False) as journal:
        journal.write(1, {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_without_tensorboard_the_lines_remain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with Journal(tmp_path, 0) as journal:
        journal.write(1, {"loss": 1.0})
    assert [path.name for path in tmp_path.iterdir()] == ["history.jsonl"]


def test_tensorboard_reads_the_curves(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Journal(tmp_path, 0) as journal:
        journal.write(1, {"loss": 1.0})
        journal.write(5, {"loss": 0.5})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 1.0), (5, 0.5)]
