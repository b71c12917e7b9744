"""A training cell of two stages: as many steps as one stage, other pictures, the same bits."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bench.cells import train as cell
from bench.material import pretraining
from bench.material.workshop import MORE, Setup, Workshop
from bench.records import Cell
from bench.running.runner import Runner, RunOptions
from bench.systems import systems
from cookie.data.dataset import RetrievalDataset
from cookie.data.karpathy import load_karpathy
from cookie.files import sha256
from cookie.training.checkpoint import load_tensors, read_facts
from cookie.training.journal import read_history
from cookie.training.trainer import TrainResult
from tests.cookie.data.photographs import entry, jpeg, write_annotations, write_images

NAME = "cookie_pretrained"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIE_HOME", str(tmp_path_factory.mktemp("home")))
        yield Workshop(Setup("scenes", "smoke", "cpu"))


@pytest.fixture(scope="module")
def whole(workshop: Workshop) -> tuple[Path, dict[str, Any]]:
    values, samples = cell.run(workshop, NAME, 3, {})
    assert samples == {}
    return workshop.run_dir(NAME, 3), dict(values)


def bits(folder: Path) -> dict[str, str]:
    files = sorted(folder.rglob("*.safetensors"))
    return {str(path.relative_to(folder)): sha256(path) for path in files}


def test_the_budget_is_that_of_one_stage(
    whole: tuple[Path, dict[str, Any]], workshop: Workshop
) -> None:
    folder, values = whole
    first, second = values["stages"]
    assert (first["steps"], second["steps"]) == (3, 3)
    assert values["steps"] == workshop.settings("cookie").train.steps == 6
    assert values["seconds"] == first["seconds"] + second["seconds"]
    assert values["samples_per_second"] == pytest.approx(6 * 16 / values["seconds"])
    assert values["best_step"] == 3 + second["best_step"]
    assert values["best_validation"] == second["best_validation"]
    assert [line["step"] for line in read_history(folder / "history.jsonl") if "loss" in line] == [
        1,
        2,
        3,
    ]


@pytest.mark.parametrize("steps", [5, 6, 901])
def test_two_halves_are_a_whole(workshop: Workshop, steps: int) -> None:
    base = workshop.config
    config = dataclasses.replace(base, train=dataclasses.replace(base.train, steps=steps))
    before = systems[NAME].pretraining
    assert before is not None
    parts = before(config).train.steps, systems[NAME].settings(config).train.steps
    assert sum(parts) == steps
    assert abs(parts[0] - parts[1]) <= 1


def test_a_gpus_work_is_weighed_by_the_stages_times() -> None:
    stages = [
        TrainResult(3, seconds, 0.0, 1.0, busy, 1.0, 3, Path("history.jsonl"))
        for seconds, busy in ((1.0, 0.5), (3.0, 0.9))
    ]
    assert cell._values(stages, 16)["gpu_busy"] == pytest.approx(0.8)
    stages[0] = dataclasses.replace(stages[0], gpu_busy=None)
    assert "gpu_busy" not in cell._values(stages, 16)


def test_three_losses_then_one(whole: tuple[Path, dict[str, Any]]) -> None:
    parts = {"image_text", "image_image", "text_text"}
    folders = (whole[0] / "pretrain", whole[0])
    found = [read_history(folder / "history.jsonl")[0].keys() & parts for folder in folders]
    assert found == [parts, {"image_text"}]


def test_the_second_stage_starts_from_the_first(whole: tuple[Path, dict[str, Any]]) -> None:
    first, second = read_facts(whole[0] / "pretrain", "best"), read_facts(whole[0], "best")
    assert (second["stage"], second["start"]) == ("finetune", first["sha256"])
    assert first["stage"] == "pretrain"
    assert "start" not in first


def test_pretraining_starts_as_its_control_does(workshop: Workshop) -> None:
    before = systems[NAME].pretraining
    assert before is not None
    ours = workshop.untrained(NAME, 3, before(workshop.config)).state_dict()
    control = workshop.untrained("cookie", 3).state_dict()
    assert ours.keys() == control.keys()
    assert all(torch.equal(ours[name], control[name]) for name in ours)


class KilledError(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("dies_at", [1, 2])  # a stage of three steps validates once
def test_cut_off_in_either_stage_the_bits_are_the_same(
    workshop: Workshop,
    whole: tuple[Path, dict[str, Any]],
    dies_at: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workshop, "run_dir", lambda system, seed: tmp_path)
    real, count = cell._rsum, 0

    def dying(*arguments: Any) -> float:  # noqa: ANN401
        nonlocal count
        count += 1
        if count == dies_at:
            raise KilledError
        return real(*arguments)

    monkeypatch.setattr(cell, "_rsum", dying)
    with pytest.raises(KilledError):
        cell.run(workshop, NAME, 3, {})
    assert (tmp_path / "pretrain" / "result.json").exists() == (dies_at == 2)
    values, _ = cell.run(workshop, NAME, 3, {})
    assert bits(tmp_path) == bits(whole[0])
    assert values["best_validation"] == whole[1]["best_validation"]


def test_a_finished_cell_trains_nothing(
    workshop: Workshop, whole: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell, "_rsum", None)  # a validation would call it
    values, _ = cell.run(workshop, NAME, 3, {})
    assert values == whole[1]


def test_it_is_pretrained_on_other_pictures(workshop: Workshop) -> None:
    data = workshop.pretraining_data
    assert len(data.split("train")) == MORE * len(workshop.dataset.split("train")) == 256
    known = {s.key for part in workshop.dataset.splits.values() for s in part.scenes or ()}
    assert not known & {scene.key for scene in data.split("train").scenes or ()}
    corpus = pretraining._corpus(workshop, NAME, workshop.untrained(NAME, 0))
    assert corpus.image_count == 256
    assert tuple(corpus.captions) == data.split("train").captions


def test_on_photographs_it_is_the_training_split_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    splits = [("train", 20), ("val", 6), ("test", 6)]
    names = [(split, f"{split}{k}.jpg") for split, count in splits for k in range(count)]
    write_annotations(tmp_path / "mine", [entry(name, split) for split, name in names])
    write_images(tmp_path / "mine", {name: jpeg(3 * k) for k, (_, name) in enumerate(names)})
    photographs: RetrievalDataset = load_karpathy("mine", tmp_path / "mine")
    workshop = Workshop(Setup("mine", "smoke", "cpu", data_root=tmp_path))
    module: nn.Module = workshop.untrained(NAME, 0)
    corpus = pretraining._corpus(workshop, NAME, module)
    assert corpus is workshop.training_split(NAME, module)
    facts = pretraining.pretraining_facts(workshop, NAME)["pretraining"]
    assert (facts["data"], facts["sha256"], facts["images"]) == ("mine", photographs.sha256, 20)
    assert set(corpus.captions).isdisjoint(photographs.split("test").captions)


def test_the_record_says_what_was_before(workshop: Workshop, tmp_path: Path) -> None:
    runner = Runner(workshop, tmp_path, RunOptions())
    protocol = runner.protocol(Cell("train", NAME, 3), [])
    assert protocol["changed"] == {
        "loss.image_image": 0.0,
        "loss.text_text": 0.0,
        "train.steps": 3,
    }
    assert protocol["pretraining"] == {
        "data": "scenes-more",
        "sha256": workshop.pretraining_data.sha256,
        "images": 256,
        "changed": {"train.steps": 3},
    }
    assert "pretraining" not in runner.protocol(Cell("train", "cookie_depth_2", 3), [])
    json.dumps(protocol)


def test_the_weights_are_those_of_the_last_stage(
    workshop: Workshop, whole: tuple[Path, dict[str, Any]]
) -> None:
    found = workshop.trained(NAME, 3).state_dict()
    stored = load_tensors(whole[0] / "best.safetensors")
    assert all(torch.equal(found[name], stored[name]) for name in stored)
