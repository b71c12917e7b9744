"""Weights to start from fit to the last tensor, or one sentence says what does not and the mend."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cookie.config import Config
from cookie.errors import UserError
from cookie.files import write_json
from cookie.model import Cookie
from cookie.presets import preset
from cookie.training.checkpoint import load_tensors, save_weights, shapes_of
from cookie.training.start import read_start

WORDS = 30


def smoke(**changes: Any) -> Config:  # noqa: ANN401 -- any part of the settings
    """Return smoke settings with ``changes`` to fields of their parts, ``part={field: value}``."""
    base = preset("smoke")
    parts = {
        name: dataclasses.replace(getattr(base, name), **fields)
        for name, fields in changes.items()
        if isinstance(fields, dict)
    }
    plain = {name: value for name, value in changes.items() if not isinstance(value, dict)}
    return dataclasses.replace(base, **parts, **plain)


def trained(folder: Path, config: Config | None = None) -> Cookie:
    """Write what a finished training leaves, with weights of its own."""
    config = config or smoke()
    torch.manual_seed(5)
    model = Cookie(config, WORDS)
    save_weights(folder, "best", model, {"config": config.to_dict(), "score": 1.0, "step": 1})
    write_json(folder / "result.json", {})
    return model


def test_all_weights_are_taken_over(tmp_path: Path):
    before = trained(tmp_path)
    config = smoke(loss={"image_image": 0.0, "text_text": 0.0}, train={"steps": 99})
    torch.manual_seed(6)
    module = Cookie(config, WORDS)
    assert not torch.equal(module.image_tower.embedding.linear.weight, _linear(before))
    start = read_start(tmp_path)
    start.fill(module, config)
    ours, theirs = module.state_dict(), before.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert start.digest == json.loads((tmp_path / "best.json").read_text())["sha256"]


def _linear(model: Cookie) -> torch.Tensor:
    return model.image_tower.embedding.linear.weight


def test_shapes_are_those_of_the_tensors(tmp_path: Path):
    trained(tmp_path)
    path = tmp_path / "best.safetensors"
    expected = {name: tuple(tensor.shape) for name, tensor in load_tensors(path).items()}
    assert shapes_of(path) == expected


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (smoke(head={"embedding": 32}), r"is \(64,\) there and \(32,\) here.*--head.embedding 64"),
        (smoke(head={"layers": 2}), r"is absent there and \(.*\) here.*--head.layers 1"),
        (smoke(text={"mlp_width": 64}), r"\(128,\) there and \(64,\) here.*--text.mlp-width 128"),
        (smoke(vision={"width": 32}, preset="mine"), "use its preset, --preset smoke"),
        (smoke(regime="frozen"), "the regime frozen needs the encoders .*--regime scratch"),
    ],
)
def test_what_does_not_fit_is_named_with_the_mend(tmp_path: Path, config: Config, sentence: str):
    trained(tmp_path)
    module = Cookie(config, WORDS)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(UserError, match=rf"'{tmp_path}' does not fit: .*{sentence}") as caught:
        read_start(tmp_path).fill(module, config)
    assert str(caught.value).count("\n") == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_other_words_do_not_fit(tmp_path: Path):
    trained(tmp_path)
    with pytest.raises(UserError, match=r"\(30, 64\) there and \(31, 64\) here; pre-train again"):
        read_start(tmp_path).fill(Cookie(smoke(), WORDS + 1), smoke())


def test_frozen_encoders_go_on_frozen(tmp_path: Path):
    config = smoke(regime="frozen")
    before = trained(tmp_path, config)
    module = Cookie(config, WORDS)
    read_start(tmp_path).fill(module, config)
    assert torch.equal(_linear(module), _linear(before))
    other = smoke(regime="frozen", text={"dropout": 0.2})
    module = Cookie(other, WORDS)
    with pytest.raises(UserError, match="the regime frozen needs the encoders"):
        read_start(tmp_path).fill(module, other)


def test_damaged_missing_and_unfinished_trainings_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"There is no folder .* to start from"):
        read_start(tmp_path / "absent")
    with pytest.raises(UserError, match=r"is '.*' a run"):
        read_start(tmp_path)
    trained(tmp_path)
    path = tmp_path / "best.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="is not the file that"):
        read_start(tmp_path).fill(Cookie(smoke(), WORDS), smoke())
    path.write_bytes(b"rubbish")
    with pytest.raises(UserError, match="cannot be read"):
        read_start(tmp_path).fill(Cookie(smoke(), WORDS), smoke())
    (tmp_path / "result.json").unlink()
    with pytest.raises(UserError, match="has not finished: let it go on"):
        read_start(tmp_path)
