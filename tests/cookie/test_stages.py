"""Pre-training, then fine-tuning, through the command line; cut off in either and gone on with."""

from __future__ import annotations

import itertools
import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from cookie.__main__ import main
from cookie.commands import train as train_command
from cookie.data import lazy_pixels
from cookie.data.catalog import load_dataset
from cookie.data.shard_writer import samples_of, write_shards
from cookie.data.shards import read_shard
from cookie.data.tokenizer import Tokenizer
from cookie.files import sha256
from cookie.runs import load_run
from cookie.training.checkpoint import load_tensors
from cookie.training.journal import read_history
from tests.cookie.data.photographs import entry, jpeg, write_annotations, write_images

SMOKE = ("--preset", "smoke", "--device", "cpu")
PRETRAIN = ("train", *SMOKE, "--stage", "pretrain", "--train.steps", "4", "--seed", "3")
FINETUNE = ("train", *SMOKE, "--stage", "finetune", "--train.steps", "5", "--seed", "3")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIE_HOME", str(folder))
        yield folder


def call(*arguments: str | Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cookie", *map(str, arguments)])
        main()


def both(folder: Path) -> tuple[Path, Path]:
    """Train both stages below ``folder``."""
    first, second = folder / "first", folder / "second"
    call(*PRETRAIN, "--run", first)
    call(*FINETUNE, "--from", first, "--run", second)
    return first, second


@pytest.fixture(scope="module")
def whole(home: Path) -> tuple[Path, Path]:
    return both(home / "whole")


def bits(folder: Path) -> dict[str, str]:
    """Return the hashes of a run's weights and checkpoints."""
    return {
        str(path.relative_to(folder)): sha256(path)
        for path in sorted(folder.rglob("*.safetensors"))
    }


def losses(folder: Path) -> list[set[str]]:
    parts = {"image_text", "image_image", "text_text"}
    lines = read_history(folder / "history.jsonl")
    return [parts & set(line) for line in lines if "loss" in line]


def test_three_losses_then_one(whole: tuple[Path, Path]):
    first, second = whole
    assert losses(first) == [{"image_text", "image_image", "text_text"}] * 4
    assert losses(second) == [{"image_text"}] * 5


def test_the_second_stage_begins_where_the_first_was_best(
    whole: tuple[Path, Path], home: Path, capsys: pytest.CaptureFixture[str]
):
    """With a learning rate of nothing, fine-tuning must give back what it started from."""
    still = ("--train.learning-rate", "0", "--train.encoder-rate", "0", "--json")
    call(*FINETUNE, "--from", whole[0], "--run", home / "still", *still)
    start, end = (load_tensors(f / "best.safetensors") for f in (whole[0], home / "still"))
    learned = {name for name in start if "running" not in name and "num_batches" not in name}
    assert learned
    assert all(torch.equal(start[name], end[name]) for name in learned)
    moved = load_tensors(whole[1] / "best.safetensors")
    assert not all(torch.equal(start[name], moved[name]) for name in learned)
    assert json.loads(capsys.readouterr().out)["steps"] == 5


def test_pretraining_alone_is_the_single_stage_under_another_name(
    whole: tuple[Path, Path], home: Path
):
    single = tuple(word for word in PRETRAIN if word not in ("--stage", "pretrain"))
    call(*single, "--run", home / "single")
    assert bits(home / "single") == bits(whole[0])
    facts = json.loads((home / "single" / "best.json").read_text())
    assert not {"stage", "start"} & set(facts)


def test_the_runs_say_what_they_are(whole: tuple[Path, Path]):
    first, second = whole
    start = sha256(first / "best.safetensors")
    setup = json.loads((second / "setup.json").read_text())
    assert setup["stage"] == "finetune"
    assert setup["start"] == start
    assert setup["from"] == str(first)
    assert json.loads((first / "setup.json").read_text())["stage"] == "pretrain"
    assert json.loads((second / "best.json").read_text())["start"] == start
    loaded = load_run(second, torch.device("cpu"))
    assert loaded.config.loss.image_image == loaded.config.loss.text_text == 0
    assert loaded.encode_query("a red cube").shape == (1, 64)


class KilledError(Exception):
    """Stands for whatever ends a process."""


def die_at(number: int, real: Callable[..., float]) -> Callable[..., float]:
    """Return a validation that ends the process in its call of that number."""
    calls = itertools.count(1)

    def dying(*arguments: object) -> float:
        if next(calls) == number:
            raise KilledError
        return real(*arguments)

    return dying


@pytest.mark.parametrize("stage", [0, 1])
@pytest.mark.parametrize("validation", [1, 2])
def test_cut_off_in_either_stage_the_bits_are_the_same(
    whole: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: int,
    validation: int,
):
    at = 2 * stage + validation  # a stage validates twice
    monkeypatch.setattr(train_command, "_rsum", die_at(at, train_command._rsum))
    with pytest.raises(KilledError):
        both(tmp_path)
    assert (tmp_path / "first" / "result.json").exists() == (stage == 1)
    assert bits(tmp_path / ("second" if stage else "first")) != bits(whole[stage])
    for ours, theirs in zip(both(tmp_path), whole, strict=True):
        assert bits(ours) == bits(theirs)


def test_the_words_of_the_pretraining_are_kept(whole: tuple[Path, Path], home: Path):
    """A word-level tokenizer is made of captions; another data set must not make another one."""
    root = home / "data"
    splits = {"train": 20, "val": 6, "test": 6}
    names = [(split, f"{split}{k}.jpg") for split, count in splits.items() for k in range(count)]
    write_annotations(root / "mine", [entry(name, split) for split, name in names])
    write_images(root / "mine", {name: jpeg(3 * k) for k, (_, name) in enumerate(names)})
    where = ("--dataset", "mine", "--data-root", root)
    call(*FINETUNE, "--from", whole[0], "--run", home / "mine", *where)
    ours = Tokenizer.load(home / "mine" / "tokenizer.json").digest
    assert ours == Tokenizer.load(whole[0] / "tokenizer.json").digest
    assert json.loads((home / "mine" / "setup.json").read_text())["dataset"] == "mine"


@pytest.fixture(scope="module")
def root(home: Path) -> Path:
    """The generated data as shards, as loose files, and in Karpathy's form."""
    root, data = home / "corpora", load_dataset("scenes", preset="smoke")
    entries, pictures = [], {}
    for part in ("train", "val"):
        paths = write_shards(samples_of(data.split(part), 32), root / "shards" / part, 10)
        loose = root / "loose" / part
        loose.mkdir(parents=True)
        for path in paths:
            with tarfile.open(path) as tar:
                tar.extractall(loose, filter="data")
            for sample in read_shard(path):
                sentences = [{"raw": caption} for caption in sample.captions]
                name = f"{part}{sample.key}.png"
                entries.append(entry(name, part, sentences=sentences))
                pictures[name] = sample.image
    write_annotations(root / "karpathy", entries)
    write_images(root / "karpathy", pictures)
    return root


@pytest.mark.parametrize("form", ["shards", "loose", "karpathy"])
@pytest.mark.parametrize("kept", [0, lazy_pixels.KEPT])
def test_any_corpus_is_pretrained_on_and_resumed_alike(
    whole: tuple[Path, Path],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    kept: int,
):
    """The same images in another form end, cut off and gone on with, in the same weights."""
    monkeypatch.setattr(lazy_pixels, "KEPT", kept)
    arguments = (*PRETRAIN, "--run", tmp_path, "--dataset", form, "--data-root", root)
    real = train_command._rsum
    monkeypatch.setattr(train_command, "_rsum", die_at(2, real))
    with pytest.raises(KilledError):
        call(*arguments)
    monkeypatch.setattr(train_command, "_rsum", real)
    call(*arguments)
    assert bits(tmp_path) == bits(whole[0])
    assert json.loads((tmp_path / "setup.json").read_text())["dataset"] == form


def test_a_run_on_shards_is_evaluated_on_what_it_was_validated_on(
    root: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    """With no folder ``val`` some are held out, and the same ones each time."""
    where = ("--data-root", root / "shards")  # its folder train is a corpus of its own
    folder = home / "held-out"
    call(*PRETRAIN, "--run", folder, "--dataset", "train", *where)
    capsys.readouterr()
    call("evaluate", "--run", folder, "--split", "val", "--device", "cpu", "--json", *where)
    facts = json.loads(capsys.readouterr().out)
    assert facts["rsum"] == pytest.approx(load_run(folder, torch.device("cpu")).score)
    assert facts["i2t"]["queries"] == 64 // 20
    call("data", "facts", "train", *where)
    assert "61 images, 305 captions" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        call("evaluate", "--run", folder, "--device", "cpu", *where)
    assert "'train' has no test images" in capsys.readouterr().err


def test_without_a_folder_each_stage_and_start_has_its_own(
    whole: tuple[Path, Path], home: Path, capsys: pytest.CaptureFixture[str]
):
    call(*PRETRAIN, "--json")
    first = Path(json.loads(capsys.readouterr().out)["run"])
    call(*FINETUNE, "--from", first, "--json")
    second = Path(json.loads(capsys.readouterr().out)["run"])
    assert first.name.endswith("-seed3-pretrain")
    assert second.name.endswith(f"-finetune-{sha256(first / 'best.safetensors')[:8]}")
    assert first.parent == second.parent == home / "runs" / "cookie"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (FINETUNE, "--stage finetune and --from belong together"),
        ((*PRETRAIN, "--from", "{first}"), "--stage finetune and --from belong together"),
        ((*FINETUNE, "--from", "absent"), "There is no folder 'absent' to start from"),
        ((*FINETUNE, "--from", "{home}"), "is '{home}' a run?"),
        (
            (*FINETUNE, "--from", "{first}", "--head.width", "32"),
            "does not fit: 'image_tower.embedding.linear.weight' is (64, 64) there",
        ),
        (
            (*FINETUNE, "--from", "{first}", "--run", "{first}"),
            "'{first}' holds a run with other settings, data or seed",
        ),
        (
            (*PRETRAIN, "--run", "{second}"),
            "'{second}' holds a run with other settings, data or seed",
        ),
    ],
)
def test_mistakes_are_one_sentence_and_leave_everything_as_it_was(
    whole: tuple[Path, Path],
    home: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    sentence: str,
):
    names = {"first": whole[0], "second": whole[1], "home": home}
    before = {path: path.read_bytes() for path in (home / "whole").rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as stop:
        call(*(word.format(**names) for word in arguments))
    assert stop.value.code == 2
    assert sentence.format(**names) in capsys.readouterr().err
    after = {path: path.read_bytes() for path in (home / "whole").rglob("*") if path.is_file()}
    assert before == after
