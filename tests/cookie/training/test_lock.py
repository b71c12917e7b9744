"""One training at a time in a folder, and nobody locked out by one that is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from cookie.errors import UserError
from cookie.training.distributed import ALONE
from cookie.training.lock import NAME, alone
from tests.cookie.training.test_trainer import run

CPU = torch.device("cpu")


def test_a_second_training_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path, steps=4, evaluate_every=2)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    half_written = tmp_path / ".best.safetensors.partial"
    half_written.write_bytes(b"of the other training")
    with (
        alone(tmp_path, ALONE, CPU),
        pytest.raises(UserError, match=r"Another process is training in .*: wait"),
    ):
        run(tmp_path, steps=4, evaluate_every=2)
    assert half_written.exists()
    assert {path: path.read_bytes() for path in before} == before


def test_a_training_lets_go_of_its_folder_however_it_ends(tmp_path: Path) -> None:
    run(tmp_path, steps=2, evaluate_every=2)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "other", validate=lambda _: 1 / 0)
    for folder in (tmp_path, tmp_path / "other"):
        with alone(folder, ALONE, CPU):
            pass


def test_another_process_is_seen_and_forgotten_once_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib, torch\n"
        "from cookie.training.distributed import ALONE\n"
        "from cookie.training.lock import alone\n"
        "with alone(pathlib.Path(sys.argv[1]), ALONE, torch.device('cpu')):\n"
        "    print('locked', flush=True)\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match="Another process"), alone(tmp_path, ALONE, CPU):
            pass
        other.kill()
        other.wait()
    with alone(tmp_path, ALONE, CPU):
        pass


def test_a_file_system_without_locks_does_not_keep_anyone_from_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with alone(tmp_path, ALONE, CPU):
        assert (tmp_path / NAME).parent.is_dir()
