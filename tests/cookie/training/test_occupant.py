"""A run's weights are safe from every other run, checkpoints or none; its own may go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from torch import nn

from cookie.errors import UserError
from cookie.files import write_json
from cookie.training.identity import SINGLE, Stage
from cookie.training.trainer import train
from tests.cookie.training.toy import ToyCorpus, ToySystem, config

TAKEN = "holds a run with other settings, data or seed: choose another folder or delete it"


def run(
    folder: Path, seed: int = 3, stage: Stage = SINGLE, images: int = 24, **changes: object
) -> None:
    train(
        ToySystem(),
        ToyCorpus(images),
        config(steps=4, **changes),
        seed=seed,
        device="cpu",
        run_dir=folder,
        validate=score,
        progress=False,
        stage=stage,
    )


def score(system: nn.Module) -> float:
    return float(system.get_parameter("image.weight").detach().abs().mean())


def without(folder: Path, *keys: str) -> None:
    """Make the files of a run those of a version that told less of it."""
    for name in ("best", "result"):
        path = folder / f"{name}.json"
        facts = json.loads(path.read_text())
        write_json(path, {key: value for key, value in facts.items() if key not in keys})


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished run whose checkpoints were deleted to save space."""
    folder = tmp_path / "run"
    run(folder)
    shutil.rmtree(folder / "checkpoints")
    return folder


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("change", ["seed", "config", "data", "stage"])
def test_weights_without_checkpoints_are_not_overwritten(finished: Path, change: str, older: bool):
    if older and change == "data":
        pytest.skip("what was written before told nothing of the captions")
    if older:
        without(finished, "identity")
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=TAKEN):
        run(
            finished,
            seed=4 if change == "seed" else 3,
            stage=Stage("pretrain") if change == "stage" else SINGLE,
            images=23 if change == "data" else 24,
            **({"weight_decay": 0.3} if change == "config" else {}),
        )
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("older", [False, True])
def test_the_same_run_is_trained_again(finished: Path, older: bool):
    weights = (finished / "best.safetensors").read_bytes()
    if older:
        without(finished, "identity")
    run(finished)
    assert (finished / "best.safetensors").read_bytes() == weights
    assert json.loads((finished / "best.json").read_text())["identity"]


def test_a_result_without_weights_tells_whose_it_is(finished: Path):
    for path in finished.glob("best.*"):
        path.unlink()
    with pytest.raises(UserError, match=TAKEN):
        run(finished, seed=4)
    run(finished)


def test_weights_that_are_damaged_are_told_with_a_mend_that_helps(tmp_path: Path):
    folder = tmp_path / "run"
    run(folder)
    path = folder / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"delete the folder '{folder}' and train again"):
        run(folder)
    shutil.rmtree(folder)
    run(folder)
