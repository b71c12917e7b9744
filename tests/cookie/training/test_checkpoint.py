"""Checkpoints: whole or absent, verified, and never a way to run someone's code."""

from __future__ import annotations

import errno
import json
import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from cookie.errors import UserError
from cookie.training import checkpoint as subject
from cookie.training.checkpoint import (
    Checkpoint,
    Checkpoints,
    load_optimizer,
    load_tensors,
    load_weights,
    optimizer_tensors,
    save_tensors,
    save_weights,
)


def made(step: int) -> Checkpoint:
    return Checkpoint(step, {"weight": torch.full((3,), float(step))}, {"note": [step, "ü"]})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_comes_back_and_two_are_kept(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path / "new")
    for step in (5, 90, 1000):
        checkpoints.save(made(step))
    found = checkpoints.load()
    assert found is not None
    assert found.step == 1000
    assert found.facts == {"note": [1000, "ü"]}
    assert found.tensors["weight"].tolist() == [1000.0] * 3
    assert [name for name in names(tmp_path / "new") if name.endswith("json")] == [
        "step-000000090.json",
        "step-000001000.json",
    ]
    assert len(names(tmp_path / "new")) == 4


def test_weights_may_be_read_by_whom_other_files_may(tmp_path: Path):
    save_tensors(tmp_path / "weights.safetensors", {"weight": torch.ones(3)})
    (tmp_path / "other").touch()
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_halves_that_a_kill_left_go_with_the_next_save(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(made(1))
    (tmp_path / "step-000000000.safetensors").touch()  # killed between two deletions
    (tmp_path / "step-000000002.safetensors").touch()  # killed before the JSON
    (tmp_path / "notes.txt").touch()
    checkpoints.save(made(2))
    assert names(tmp_path) == ["notes.txt", "step-000000002.json", "step-000000002.safetensors"]
    found = checkpoints.load()
    assert found is not None
    assert found.step == 2


def test_an_empty_or_missing_folder_holds_none(tmp_path: Path):
    assert Checkpoints(tmp_path).load() is None
    assert Checkpoints(tmp_path / "absent").load() is None


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "gone", "json", "nothing"])
def test_a_broken_checkpoint_falls_back_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(made(1))
    checkpoints.save(made(2))
    path = tmp_path / "step-000000002.safetensors"
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[-1] ^= 1
        path.write_bytes(content)
    elif harm == "cut":
        path.write_bytes(content[:-4])
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "gone":
        path.unlink()
    elif harm == "json":
        path.with_suffix(".json").write_text('{"step": 2')
    with caplog.at_level(logging.WARNING):
        found = checkpoints.load()
    assert found is not None
    assert found.step == (2 if harm == "nothing" else 1)
    assert ("step-000000002" in caplog.text) == (harm != "nothing")
    assert ("falling back" in caplog.text) == (harm != "nothing")


def test_when_all_are_broken_there_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(made(1))
    (tmp_path / "step-000000001.safetensors").write_bytes(b"rubbish")
    assert checkpoints.load() is None
    assert "step-000000001" in caplog.text


def test_a_checkpoint_without_its_json_does_not_count(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(made(1))
    checkpoints.save(made(2))
    (tmp_path / "step-000000002.json").unlink()
    found = checkpoints.load()
    assert found is not None
    assert found.step == 1


def test_a_full_disk_is_a_user_error_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(made(1))
    before = names(tmp_path)

    def full(tensors: object, path: Path, notes: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(subject, "save_file", full)
    with pytest.raises(UserError, match=r"No space left .*step-000000002"):
        checkpoints.save(made(2))
    assert names(tmp_path) == before


def test_tensors_of_every_kind_survive(tmp_path: Path):
    tensors = {
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "whole": torch.tensor(3),
        "transposed": torch.arange(6.0).view(2, 3).T,
        "none": torch.empty(0, 4),
        "bytes": torch.arange(5, dtype=torch.uint8),
    }
    save_tensors(tmp_path / "file", tensors)
    loaded = load_tensors(tmp_path / "file")
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_a_shared_tensor_is_stored_once_and_a_part_of_it_apart(tmp_path: Path):
    shared = torch.arange(10_000.0)
    save_tensors(tmp_path / "file", {"a": shared, "b": shared, "c": shared[:10]})
    assert (tmp_path / "file").stat().st_size < 1.2 * 40_000
    loaded = load_tensors(tmp_path / "file")
    assert torch.equal(loaded["b"], shared)
    assert torch.equal(loaded["c"], shared[:10])


def test_weights_come_back_with_their_facts(tmp_path: Path):
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    save_weights(tmp_path, "best", source, {"score": 4.5})
    assert load_weights(tmp_path, "best", target)["score"] == 4.5
    assert torch.equal(source.weight, target.weight)


def test_wrong_weights_are_user_errors(tmp_path: Path):
    save_weights(tmp_path, "best", nn.Linear(3, 2), {})
    with pytest.raises(UserError, match="another architecture"):
        load_weights(tmp_path, "best", nn.Linear(3, 4))
    with pytest.raises(UserError, match=r"worse\.json.*cannot be read"):
        load_weights(tmp_path, "worse", nn.Linear(3, 2))
    (tmp_path / "best.safetensors").write_bytes(b"rubbish")
    with pytest.raises(UserError, match="is not the file"):
        load_weights(tmp_path, "best", nn.Linear(3, 2))
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        load_weights(tmp_path, "best", nn.Linear(3, 2))
    (tmp_path / "best.json").write_text("[")
    with pytest.raises(UserError, match=r"best\.json.*cannot be read"):
        load_weights(tmp_path, "best", nn.Linear(3, 2))


@pytest.mark.parametrize("kind", ["adamw", "fused", "sgd"])
def test_an_optimizer_goes_on_bit_for_bit(tmp_path: Path, kind: str):
    def build(model: nn.Module) -> torch.optim.Optimizer:
        if kind == "sgd":
            return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return torch.optim.AdamW(model.parameters(), lr=0.1, fused=kind == "fused")

    def work(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        for step in range(steps):
            optimizer.zero_grad()
            model(torch.full((2, 3), 1.0 + step)).square().sum().backward()
            optimizer.step()

    model = nn.Linear(3, 2)
    optimizer = build(model)
    work(model, optimizer, 3)
    tensors, facts = optimizer_tensors(optimizer)
    save_tensors(tmp_path / "file", tensors)
    copy = nn.Linear(3, 2)
    copy.load_state_dict(model.state_dict())
    other = build(copy)
    load_optimizer(other, load_tensors(tmp_path / "file"), json.loads(json.dumps(facts)))
    work(model, optimizer, 4)
    work(copy, other, 4)
    assert torch.equal(model.weight, copy.weight)


@pytest.mark.parametrize("fused", [True, False])
def test_an_optimizer_s_state_is_laid_out_as_the_parameter_is(tmp_path: Path, fused: bool):
    """A fused step pairs memory, not indices; a file holds rows."""

    def work(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(torch.linspace(-1, 1, 54).view(2, 3, 3, 3)).square().sum().backward()
        optimizer.step()

    models = [nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last) for _ in range(2)]
    optimizers = [torch.optim.AdamW(each.parameters(), lr=0.1, fused=fused) for each in models]
    work(models[0], optimizers[0])
    tensors, facts = optimizer_tensors(optimizers[0])
    save_tensors(tmp_path / "file", tensors | {"w": models[0].weight, "b": models[0].bias})
    found = load_tensors(tmp_path / "file")
    models[1].load_state_dict({"weight": found["w"], "bias": found["b"]})
    load_optimizer(optimizers[1], found, json.loads(json.dumps(facts)))
    assert optimizers[1].state[models[1].weight]["exp_avg"].stride() == models[1].weight.stride()
    for model, optimizer in zip(models, optimizers, strict=True):
        work(model, optimizer)
    assert torch.equal(models[0].weight, models[1].weight)
