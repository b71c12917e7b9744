"""What ``python -m cookie train`` makes of data that change, and of folders that are taken."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from cookie.__main__ import main
from cookie.data.catalog import load_dataset
from tests.cookie.data.photographs import entry, jpeg, write_annotations, write_images

STEPS = ("--train.steps", "2", "--train.evaluate-every", "1", "--train.batch-size", "4")
NAMES = [(part, f"{part}{k}.jpg") for part in ("train", "val") for k in range(6)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COOKIE_DATA", str(tmp_path / "data"))
    write_annotations(tmp_path / "data" / "mine", [entry(name, part) for part, name in NAMES])
    show(tmp_path, 0)
    return tmp_path / "home"


def show(folder: Path, first: int) -> None:
    """Give the data set images that begin with this green; names and captions stay."""
    files = {name: jpeg(first + 3 * k) for k, (_, name) in enumerate(NAMES)}
    write_images(folder / "data" / "mine", files)


def train(*arguments: str | Path) -> Path:
    """Train on the data set ``mine`` and return the run's folder."""
    command = ("train", "--dataset", "mine", "--preset", "smoke", "--device", "cpu", *STEPS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cookie", *command, *map(str, arguments)])
        main()
    return max((folder / "setup.json" for folder in _folders()), key=_written).parent


def _folders() -> list[Path]:
    home = Path(os.environ["COOKIE_HOME"])
    return [path.parent for path in home.parent.rglob("setup.json")]


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Return the one sentence that a training ends with."""
    with pytest.raises(SystemExit) as stop:
        train(*arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_other_images_under_the_same_names_are_trained_on_anew(tmp_path: Path):
    first = train()
    before = contents(first)
    show(tmp_path, 100)
    second = train()
    assert second != first
    now = load_dataset("mine").sha256
    assert json.loads((second / "setup.json").read_text())["dataset_sha256"] == now
    assert f"-{now[:8]}-" in second.name
    assert contents(first) == before
    assert len(_folders()) == 2


def test_a_folder_of_a_run_on_other_images_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = train("--run", tmp_path / "run")
    before = contents(folder)
    show(tmp_path, 100)
    said = refusal(capsys, "--run", folder)
    assert "holds a run on other images or captions" in said
    assert "choose another folder with --run, or delete it" in said
    assert contents(folder) == before
    show(tmp_path, 0)
    assert train("--run", folder) == folder


def test_a_run_under_the_name_that_earlier_versions_gave_is_found(tmp_path: Path):
    folder = train()
    earlier = folder.with_name(folder.name.replace(f"-{load_dataset('mine').sha256[:8]}-", "-"))
    folder.rename(earlier)
    weights = (earlier / "best.safetensors").stat().st_mtime_ns
    assert train() == earlier
    assert (earlier / "best.safetensors").stat().st_mtime_ns == weights
    show(tmp_path, 100)
    assert train() != earlier


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--train.evaluate-every", "-3"), "train.evaluate_every is -3: choose 1 or more"),
        (("--train.warmup", "2"), "train.warmup is 2.0: choose from 0 to 1"),
        (("--seed", "-1"), "The seed is -1: choose one from 0 to"),
        (("--seed", str(2**63)), "choose one from 0 to"),
        (("--run", ""), "--run is empty, or the folder you are in, which holds no run"),
        (("--run", "."), "--run is empty, or the folder you are in, which holds no run"),
        (
            ("--stage", "finetune", "--from", "{run}", "--loss.image-text", "0"),
            "All three losses have the weight 0",
        ),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    sentence: str,
):
    folder = train() if "--from" in arguments else tmp_path
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = contents(tmp_path)
    said = refusal(capsys, *(word.format(run=folder) for word in arguments))
    assert sentence in said
    assert contents(tmp_path) == before


def test_the_folder_one_is_in_may_be_the_runs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = train("--run", tmp_path / "run")
    monkeypatch.chdir(folder)
    assert train("--run", ".") == folder


@pytest.mark.parametrize("missing", ["train", "val"])
def test_a_missing_split_is_told_before_anything_is_decoded(
    missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    kept = [entry(name, part) for part, name in NAMES if part != missing]
    write_annotations(tmp_path / "data" / "mine", kept)
    assert f"'mine' has no {missing} images, only" in refusal(capsys)
    assert not (tmp_path / "home" / "cache").exists()
    assert _folders() == []


def test_an_empty_split_that_is_not_asked_for_does_no_harm(tmp_path: Path):
    for part in ("train", "val", "test"):
        (tmp_path / "data" / "beside" / part).mkdir(parents=True)
    for part, name in NAMES:
        path = tmp_path / "data" / "beside" / part / name
        path.write_bytes(jpeg(7))
        path.with_suffix(".txt").write_text("a dog")
    assert "beside" in train("--dataset", "beside").name


@pytest.mark.parametrize("command", ["evaluate", "encode"])
def test_no_result_comes_from_a_training_split_with_unreadable_images(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    (tmp_path / "data" / "mine" / "images" / "train3.jpg").write_bytes(jpeg(1)[:150])
    folder = train("--train.broken-images", "1")
    arguments = {"evaluate": (), "encode": ("mine", "--output", str(tmp_path / "gallery"))}[command]
    common = ("--run", str(folder), "--split", "train", "--device", "cpu")
    monkeypatch.setattr(sys, "argv", ["cookie", command, *arguments, *common])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "train3.jpg' in " in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "gallery").exists()
