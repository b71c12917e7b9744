"""Settings that nothing can be trained with are refused by name; all others are let through."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from bench.systems import systems
from cookie.config import Config
from cookie.errors import UserError
from cookie.presets import PRESETS, preset
from cookie.ranges import check, check_seed
from cookie.training.identity import Stage


def smoke(setting: str, value: Any) -> Config:  # noqa: ANN401 -- any setting's
    part, _, name = setting.partition(".")
    base = preset("smoke")
    return dataclasses.replace(
        base, **{part: dataclasses.replace(getattr(base, part), **{name: value})}
    )


@pytest.mark.parametrize("name", PRESETS)
def test_every_system_of_every_preset_can_be_trained(name: str):
    config = preset(name)
    for stage in (Stage("single"), Stage("pretrain"), Stage("finetune", "c" * 64)):
        check(stage.settings(config))
    for system in systems:
        check(systems[system].settings(config))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("train.learning_rate", -1e-3),
        ("train.learning_rate", math.nan),
        ("train.learning_rate", math.inf),
        ("train.encoder_rate", -1e-5),
        ("train.warmup", 1.5),
        ("train.warmup", -0.1),
        ("train.clip_norm", 0.0),
        ("train.evaluate_every", 0),
        ("train.evaluate_every", -3),
        ("train.broken_images", -1),
        ("train.steps", 0),
        ("train.batch_size", 0),
        ("train.micro_batch", 0),
        ("head.layers", -1),
        ("head.dropout", 1.0),
        ("head.token_dropout", 1.0),
        ("head.channel_dropout", -0.1),
        ("head.width", 0),
        ("text.dropout", 1.5),
        ("text.width", 0),
        ("augment.crop_scale", 0.0),
        ("augment.crop_scale", 1.1),
        ("augment.flip", 1.1),
        ("augment.text_rate", -0.1),
        ("loss.image_text", -1.0),
        ("loss.image_image", -0.1),
        ("loss.text_text", -0.1),
        ("loss.temperature", 0.0),
        ("vision.image_size", 0),
        ("vision.grid", 0),
        ("vision.width", -8),
        ("joint.matching_share", 0.0),
    ],
)
def test_what_is_out_of_range_is_named_with_its_value_and_range(setting: str, value: float):
    with pytest.raises(UserError, match=rf"^{setting} is {value}: choose .*\d.*\.$"):
        check(smoke(setting, value))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("train.learning_rate", 0.0),
        ("train.warmup", 0.0),
        ("train.warmup", 1.0),
        ("train.micro_batch", None),
        ("head.layers", 0),
        ("augment.crop_scale", 1.0),
        ("augment.flip", 1.0),
        ("augment.text_rate", 1.0),
        ("loss.image_text", 0.0),
    ],
)
def test_ends_that_mean_something_are_let_through(setting: str, value: float | None):
    check(smoke(setting, value))


@pytest.mark.parametrize("part", ["head", "text"])
def test_heads_have_to_divide_the_width(part: str):
    with pytest.raises(UserError, match=rf"{part}.heads is 3, which does not divide {part}.width"):
        check(smoke(f"{part}.heads", 3))


def test_no_loss_at_all_is_refused():
    config = smoke("loss.image_text", 0.0)
    with pytest.raises(UserError, match="All three losses have the weight 0"):
        check(Stage("finetune", "c" * 64).settings(config))


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_have_a_range(seed: int):
    with pytest.raises(UserError, match=f"The seed is {seed}: choose one from 0 to"):
        check_seed(seed)
    check_seed(0)
    check_seed(2**63 - 1)
