"""Curves that cannot be written are warned about once, and the training goes on."""

from __future__ import annotations

import errno
import logging
import sys
import threading
from pathlib import Path

import pytest
from tensorboard.compat.tensorflow_stub.io import gfile

from cookie.training.curves import FOLDER, Curves
from cookie.training.journal import Journal, read_history


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def append(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gfile.LocalFileSystem, "append", append)
    monkeypatch.setattr(gfile.LocalFileSystem, "write", append)


def drawn(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / FOLDER))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_a_curve_a_number(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    curves = Curves(tmp_path, 0)
    curves.write(1, {"loss": 1.0, "rate": 0.5})
    curves.write(2, {"loss": 0.5})
    curves.close()
    assert (drawn(tmp_path, "loss"), drawn(tmp_path, "rate")) == ([(1, 1.0), (2, 0.5)], [(1, 0.5)])
    assert warnings(caplog) == []


def test_a_full_disk_is_told_once_without_a_trace(
    tmp_path: Path,
    full_disk: None,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    curves = Curves(tmp_path, 0)
    for step in range(1, 40):  # more than the queue of the thread that writes holds
        curves.write(step, {"loss": 1.0})
    curves.close()
    (told,) = warnings(caplog)
    assert f"in '{tmp_path / FOLDER}' cannot be written ([Errno 28]" in told
    assert "Traceback" not in capfd.readouterr().err


def test_a_disk_that_fills_up_later_is_told_as_well(
    tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
):
    curves = Curves(tmp_path, 0)
    curves.write(1, {"loss": 1.0})
    request.getfixturevalue("full_disk")
    curves.write(2, {"loss": 0.5})
    curves.close()
    assert len(warnings(caplog)) == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / FOLDER).write_text("a file in its place")
    curves = Curves(tmp_path, 0)
    curves.write(1, {"loss": 1.0})
    curves.close()
    (told,) = warnings(caplog)
    assert "the training goes on without them" in told


def test_lines_are_kept_where_curves_are_not(tmp_path: Path, full_disk: None):
    with Journal(tmp_path, 0) as journal:
        journal.write(1, {"loss": 1.0})
        journal.write(2, {"loss": 0.5})
    assert [line["loss"] for line in read_history(journal.path)] == [1.0, 0.5]


def test_without_tensorboard_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    curves = Curves(tmp_path, 0)
    curves.write(1, {"loss": 1.0})
    curves.close()
    assert (list(tmp_path.iterdir()), warnings(caplog)) == ([], [])


def test_other_threads_are_heard_and_the_hook_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    heard: list[str] = []

    def listen(told: threading.ExceptHookArgs) -> None:
        heard.append(str(told.exc_value))

    monkeypatch.setattr(threading, "excepthook", listen)
    curves = Curves(tmp_path, 0)
    thread = threading.Thread(target=lambda: {}["another thread's"])
    thread.start()
    thread.join()
    curves.close()
    assert (heard, threading.excepthook) == (['"another thread\'s"'], listen)
