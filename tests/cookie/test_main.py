"""The command line from end to end on the smallest preset, and what it says of mistakes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cookie.__main__ import main, parse
from cookie.commands.options import DataFacts, Evaluate, Train
from cookie.config import Config
from cookie.data.catalog import load_dataset
from cookie.data.shards import read_shard
from cookie.encoding import load_embeddings
from cookie.errors import UserError
from cookie.photos.corpus import PhotoCorpus
from cookie.presets import preset
from cookie.retrieval.products import one_thread
from cookie.runs import load_run, settings_from

SMOKE = ("--preset", "smoke", "--device", "cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def surroundings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(home))
    monkeypatch.delenv("COOKIE_DATA", raising=False)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["cookie", *map(str, arguments)])
    main()


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    """A finished training, made through the command line."""
    folder = home / "runs" / "cookie" / "trained"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIE_HOME", str(home))
        call(patch, "train", *SMOKE, "--run", folder, "--train.steps", "4")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    images = load_dataset("scenes", preset="smoke").split("test").images
    (folder / "deeper").mkdir()
    for index in range(6):
        images.load(index, 48).save(folder / ("deeper" if index % 2 else "") / f"{index}.png")
    (folder / "note.txt").write_text("no image")
    return folder


def test_help_needs_no_torch():
    program = (
        "import sys\n"
        "from cookie.__main__ import main\n"
        "sys.argv = ['cookie', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0\n"
        "assert not {'torch', 'numpy', 'openvino', 'PIL'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    for name in ("train", "evaluate", "encode", "search", "data"):
        assert name in done.stdout


def test_flags_change_single_settings_of_a_preset():
    command = parse(["train", "--preset", "small", "--train.steps", "7", "--head.layers", "2"])
    assert isinstance(command, Train)
    base = preset("small")
    assert command.config == dataclasses.replace(
        base,
        train=dataclasses.replace(base.train, steps=7),
        head=dataclasses.replace(base.head, layers=2),
    )
    default = parse(["train"])
    assert isinstance(default, Train)
    assert default.config == preset("tiny")
    equals = parse(["train", "--preset=smoke"])
    assert isinstance(equals, Train)
    assert equals.config == preset("smoke")
    assert parse(["data", "facts", "scenes"]) == DataFacts("scenes")
    assert parse(["evaluate", "--split", "val"]) == Evaluate(split="val")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "--preset", "smok"], "Unknown preset 'smok': did you mean 'smoke'?"),
        (
            ["train", "--dataset", "scene", *SMOKE],
            "Unknown dataset 'scene': did you mean 'scenes'?",
        ),
        (["train", "--preset", "smoke", "--device", "gpu"], "Unknown device 'gpu'"),
        (["train", "--preset", "smoke", "--device", "meta"], "Unknown device 'meta': use auto"),
        (["train", *SMOKE, "--train.batch-size", "65"], "the training split has 64"),
        (
            ["search", "x", "--gallery", "absent", "--index", "hsnw"],
            "Unknown index 'hsnw': did you mean 'hnsw'?",
        ),
        (["search", "caf\udce9", "--gallery", "absent"], r"'caf\udce9' is no text"),
        (["evaluate", "--run", "absent"], "There is no folder 'absent': train with"),
        (["evaluate", "--run", "."], "is '.' a run?"),
        (["data", "facts", "flickr8k", "--data-root", "absent"], "absent"),
        (["data", "show", "scenes", "--preset", "smoke", "--split", "tes"], "did you mean 'test'?"),
    ],
)
def test_mistakes_are_one_sentence_and_code_two(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    sentence: str,
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, *arguments)
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    last = last.rpartition("\x1b[A")[2]  # a slow machine shows bars, which clear their line
    assert last.startswith("error: ")
    assert sentence in last


def test_without_a_training_the_user_is_told_to_train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path))
    with pytest.raises(SystemExit):
        call(monkeypatch, "search", "a cube", "--gallery", tmp_path)
    assert "run 'python -m cookie train'" in capsys.readouterr().err


def test_a_run_can_be_loaded_again(run: Path):
    loaded = load_run(run, torch.device("cpu"))
    base = preset("smoke")
    assert loaded.config == dataclasses.replace(
        base, train=dataclasses.replace(base.train, steps=4)
    )
    assert loaded.setup["dataset"] == "scenes"
    assert not loaded.model.training
    assert loaded.encode_query("a red cube").shape == (1, 64)
    assert json.loads((run / "result.json").read_text())["best_score"] == loaded.score


def test_training_again_finds_it_finished(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    before = (run / "best.safetensors").stat().st_mtime_ns
    call(monkeypatch, "train", *SMOKE, "--run", run, "--train.steps", "4", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert facts["steps"] == 4
    assert facts["run"] == str(run)
    assert (run / "best.safetensors").stat().st_mtime_ns == before


def test_other_settings_in_the_same_folder_are_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        call(monkeypatch, "train", *SMOKE, "--run", run, "--train.steps", "5")
    assert "holds a run with other settings" in capsys.readouterr().err


def test_evaluation_reports_what_validation_found(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    call(monkeypatch, "evaluate", "--split", "val", "--device", "cpu", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert facts["rsum"] == pytest.approx(load_run(run, torch.device("cpu")).score)
    assert facts["run"] == str(run)
    assert facts["t2i"]["queries"] == 120
    call(monkeypatch, "evaluate", "--run", run, "--device", "cpu")
    assert "text to image" in capsys.readouterr().out


def test_the_run_that_is_taken_by_default_is_named_and_a_named_one_is_not(
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    cut_off = run.parent / "cut_off"  # newer, and not finished
    shutil.copytree(run, cut_off, ignore=shutil.ignore_patterns("result.json"))
    split = ("encode", "scenes", "--device", "cpu", "--output", tmp_path / "a.safetensors")
    call(monkeypatch, *split)
    shutil.rmtree(cut_off)
    told = f"The run is '{run}', of those in '{run.parent}' the one that finished last: --run names"
    assert told in capsys.readouterr().err
    call(monkeypatch, *split, "--run", run)
    assert "finished last" not in capsys.readouterr().err


def test_a_split_is_encoded_and_searched(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    path = tmp_path / "test.safetensors"
    call(monkeypatch, "encode", "scenes", "--output", path, "--run", run, "--device", "cpu")
    embeddings, facts = load_embeddings(path)
    assert embeddings.captions.shape == (120, 64)
    capsys.readouterr()
    query = load_dataset("scenes", preset="smoke").split("test").captions[7]
    call(
        monkeypatch, "search", query, "--gallery", path, "--top", "30", "--device", "cpu", "--json"
    )
    hits = json.loads(capsys.readouterr().out)["hits"]
    scores = embeddings.images @ embeddings.captions[7]
    order = scores.argsort(descending=True)
    assert [hit["image"] for hit in hits] == [facts["names"][index] for index in order]
    assert hits[0]["score"] == pytest.approx(float(scores.max()), abs=1e-3)


def torchrun(processes: int, home: Path, *arguments: str | Path) -> str:
    """Return what several processes print that are started as a user does."""
    program = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "-m", "--"]
    done = subprocess.run(
        [sys.executable, *program, "cookie", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
        env={**os.environ, "COOKIE_HOME": str(home), "OMP_NUM_THREADS": "1"},
    )
    return done.stdout


def test_processes_print_what_one_does(
    run: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    command = ("evaluate", "--run", run, "--split", "train", "--device", "cpu", "--json")
    with one_thread():
        call(monkeypatch, *command)
    alone = capsys.readouterr().out
    assert json.loads(alone)["t2i"]["queries"] == 320  # three batches
    assert torchrun(2, home, *command) == alone


def test_processes_write_what_one_does(
    run: Path, home: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """More processes than batches; and a photograph that only one of them finds broken."""
    folder, path, alone = (tmp_path / name for name in ("photos", "gallery", "alone"))
    shutil.copytree(photos, folder)
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:60])
    command = ("encode", folder, "--run", run, "--device", "cpu")
    with one_thread():
        call(monkeypatch, *command, "--output", alone)
    said = torchrun(2, home, *command, "--output", path)
    assert said.count("5 images and 0 captions encoded.") == 1
    (found, facts), (expected, wanted) = load_embeddings(path), load_embeddings(alone)
    assert torch.equal(found.images, expected.images)
    assert found.images.shape == (5, 64)
    assert facts == wanted
    assert sorted(tmp_path.iterdir()) == sorted((folder, path, alone))


def test_a_folder_of_photographs_is_searched(
    run: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    path, sheet = tmp_path / "gallery.safetensors", tmp_path / "sheet.png"
    call(monkeypatch, "encode", photos, "--output", path, "--run", run, "--device", "cpu")
    capsys.readouterr()
    common = ("--run", run, "--top", "3", "--device", "cpu", "--json")
    call(monkeypatch, "search", "a red cube", "--gallery", path, "--sheet", sheet, *common)
    stored = json.loads(capsys.readouterr().out)["hits"]
    call(monkeypatch, "search", "a red cube", "--gallery", photos, *common)
    assert json.loads(capsys.readouterr().out)["hits"] == stored
    call(monkeypatch, "search", "a red cube", "--gallery", path, "--index", "hnsw", *common)
    assert json.loads(capsys.readouterr().out)["hits"] == stored
    assert len(stored) == 3
    assert all(Path(hit["image"]).is_file() for hit in stored)
    with Image.open(sheet) as picture:
        assert picture.width == 3 * 236 + 12
        assert len(np.unique(np.asarray(picture))) > 10


def test_a_gallery_of_another_model_is_refused(
    run: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    path, other = tmp_path / "gallery.safetensors", tmp_path / "other"
    call(monkeypatch, "encode", photos, "--output", path, "--run", run, "--device", "cpu")
    call(monkeypatch, "train", *SMOKE, "--run", other, "--train.steps", "1", "--seed", "5")
    with pytest.raises(SystemExit):
        call(monkeypatch, "search", "a", "--gallery", path, "--run", other, "--device", "cpu")
    assert "was encoded with other weights" in capsys.readouterr().err


def test_broken_photographs_are_named_and_left_out(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    for source in photos.rglob("*.png"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:60])
    corpus = PhotoCorpus(tmp_path, 32)
    batch = corpus.images(np.arange(6))
    assert batch.data.shape == (6, 3, 32, 32)
    assert corpus.broken == [2]
    assert [path.name for path in corpus.paths] == [f"{index}.png" for index in range(6)]
    assert "2.png" in caplog.text
    assert int(batch.data[2].max()) == 0


def test_folders_without_images_are_user_errors(tmp_path: Path):
    with pytest.raises(UserError, match="holds no images"):
        PhotoCorpus(tmp_path, 32)
    with pytest.raises(UserError, match="There is no folder"):
        PhotoCorpus(tmp_path / "absent", 32)


def test_data_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    call(monkeypatch, "data", "facts", "scenes", "--preset", "smoke", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert facts == load_dataset("scenes", preset="smoke").facts()
    call(monkeypatch, "data", "facts", "scenes", "--preset", "smoke")
    said = capsys.readouterr().out
    assert facts["sha256"] in said
    assert "24 images, 120 captions" in said
    path = tmp_path / "sheet.png"
    call(
        monkeypatch, "data", "show", "scenes", "--preset", "smoke", "--rows", "1", "--output", path
    )
    with Image.open(path) as picture:
        assert picture.width > picture.height > 200


@pytest.mark.parametrize("name", ["tiny", "small", "paper", "smoke"])
def test_settings_survive_json(name: str):
    config = preset(name)
    assert settings_from(Config, json.loads(json.dumps(config.to_dict()))) == config


def test_settings_of_another_version_are_refused():
    values = preset("smoke").to_dict()
    values["head"]["new"] = 1
    with pytest.raises(UserError, match="hold 'new'"):
        settings_from(Config, values)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "--rows", "0"), "cannot have 0 rows: choose from 1 to"),
        (("show", "--rows", "-1"), "cannot have -1 rows"),
        (("show", "--rows", "100000"), "cannot have 100000 rows"),
        (("show", "--start", "-1"), "have the numbers 0 to 23, so a sheet cannot start at -1"),
        (("show", "--start", "24"), "cannot start at 24"),
        (("shards", "--image-size", "0"), "cannot be 0 pixels a side: choose from 1 to 8000"),
        (("shards", "--image-size", "-4"), "cannot be -4 pixels"),
        (("shards", "--image-size", "1000000000"), "cannot be 1000000000 pixels"),
        (("show", "--output", "."), "'.' is a folder: name a file in it"),
        (("shards", "--output", "/proc/x"), "'/proc/x/00000.tar' cannot be written"),
        (("shards", "--shard-size", "0"), "A shard of 0 samples is none"),
    ],
)
def test_what_cannot_be_shown_or_written_is_told(
    arguments: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    command, *others = arguments
    place = ("--output", tmp_path / "new", "--split", "test", "--preset", "smoke")
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, "data", command, "scenes", *place, *others)
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_shards_are_not_mixed_with_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    options = ("--output", tmp_path, "--split", "test", "--image-size", "8", "--shard-size")
    command = ("data", "shards", "scenes", "--preset", "smoke", *options)
    call(monkeypatch, *command, "10")
    call(monkeypatch, *command, "10")  # the same again
    with pytest.raises(SystemExit):
        call(monkeypatch, *command, "20")
    assert "has shards of something else, such as '00002.tar'" in capsys.readouterr().err
    assert len(list(read_shard(tmp_path / "00000.tar"))) == 10


def test_data_shards_writes_a_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    options = ("--output", tmp_path, "--split", "test", "--image-size", "32", "--shard-size", "20")
    call(monkeypatch, "data", "shards", "scenes", "--preset", "smoke", *options)
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == ["00000.tar", "00001.tar"]
    assert f"24 images in 2 shards: {tmp_path}" in capsys.readouterr().out
    found = [sample for path in paths for sample in read_shard(path)]
    split = load_dataset("scenes", preset="smoke").split("test")
    assert [caption for sample in found for caption in sample.captions] == list(split.captions)
