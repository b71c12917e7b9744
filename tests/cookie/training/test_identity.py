"""A run is refused by a folder of another stage; what had no stage stays what it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from cookie.errors import UserError
from cookie.presets import preset
from cookie.training.checkpoint import Checkpoints, read_facts
from cookie.training.identity import SINGLE, Stage, identity
from cookie.training.trainer import train
from tests.cookie.training.toy import ToyCorpus, ToySystem, config

STAGES = (SINGLE, Stage("pretrain"), Stage("finetune", "a" * 64), Stage("finetune", "b" * 64))


def run(folder: Path, stage: Stage, begun: list[str] | None = None, steps: int = 4) -> None:
    train(
        ToySystem(),
        ToyCorpus(),
        config(steps=steps),
        seed=3,
        device="cpu",
        run_dir=folder,
        validate=lambda _: 1.0,
        progress=False,
        stage=stage,
        begin=lambda: begun.append("begun") if begun is not None else None,
    )


def test_every_stage_and_start_is_a_run_of_its_own():
    found = {identity(ToySystem(), ToyCorpus(), config(), 3, stage) for stage in STAGES}
    assert len(found) == len(STAGES)


def test_a_single_stage_is_what_it_was_before_there_were_stages():
    """By the recipe of then, written out: checkpoints of that time must still be gone on from."""
    system, corpus, settings = ToySystem(), ToyCorpus(), config()
    shapes = {name: list(tensor.shape) for name, tensor in system.state_dict().items()}
    digest = hashlib.sha256(json.dumps(["ToySystem", shapes, settings.decisive(), 3]).encode())
    digest.update(corpus.caption_image.tobytes())
    digest.update("\n".join(corpus.captions).encode())
    assert identity(system, corpus, settings, 3, SINGLE) == digest.hexdigest()[:16]
    assert SINGLE.facts() == {}


@pytest.mark.parametrize("held", STAGES)
@pytest.mark.parametrize("asked", STAGES)
def test_a_folder_of_another_stage_is_refused_before_anything_is_written(
    tmp_path: Path, held: Stage, asked: Stage
):
    run(tmp_path, held)
    begun: list[str] = []
    if held == asked:
        run(tmp_path, asked, begun)
        assert begun == ["begun"]
        return
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="holds a run with other settings, data or seed"):
        run(tmp_path, asked, begun)
    assert begun == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_weights_checkpoints_and_result_tell_stage_and_start(tmp_path: Path):
    stage = Stage("finetune", "c" * 64)
    run(tmp_path, stage)
    expected = {"stage": "finetune", "start": "c" * 64}
    assert read_facts(tmp_path, "best").items() >= expected.items()
    assert read_facts(tmp_path, "result").items() >= expected.items()
    found = Checkpoints(tmp_path / "checkpoints").load()
    assert found is not None
    assert found.facts.items() >= expected.items()


def test_fine_tuning_is_for_retrieval_alone():
    base = preset("tiny")
    tuned = Stage("finetune", "a").settings(base)
    assert (tuned.loss.image_image, tuned.loss.text_text) == (0, 0)
    assert tuned.loss.image_text == base.loss.image_text
    assert tuned.train == base.train
    for stage in (SINGLE, Stage("pretrain")):
        assert stage.settings(base) is base
