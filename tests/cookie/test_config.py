"""Digests: they change with every setting, and not with one that was added later."""

from __future__ import annotations

import dataclasses
import json

import pytest

from cookie.config import LATER, Config, TrainConfig
from cookie.presets import PRESETS, preset

DIGESTS = {
    "tiny": "f911ca5ce089",
    "small": "24211be03867",
    "paper": "e8749bc5e945",
    "smoke": "62124e54bca9",
}
"""Of the presets that results are recorded for; they change only with a preset itself."""


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_have_the_digests_that_records_name(name: str):
    assert preset(name).digest() == DIGESTS[name]


def later(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind) if field.metadata.get("later")]


def test_a_later_setting_counts_once_it_is_set():
    assert "micro_batch" in later(TrainConfig)
    base = preset("smoke")
    changed = dataclasses.replace(base, train=dataclasses.replace(base.train, micro_batch=8))
    assert "micro_batch" not in base.decisive()["train"]
    assert changed.decisive()["train"]["micro_batch"] == 8
    assert changed.digest() != base.digest()
    assert base.to_dict()["train"]["micro_batch"] is None


def test_nothing_else_is_left_out_and_the_order_stays():
    base = preset("small")
    expected = base.to_dict()
    for part in dataclasses.fields(Config):
        value = getattr(base, part.name)
        if dataclasses.is_dataclass(value):
            for name in later(type(value)):
                del expected[part.name][name]
    assert json.dumps(base.decisive()) == json.dumps(expected)


@pytest.mark.parametrize("part", ["vision", "text", "head", "loss", "joint", "augment", "train"])
def test_every_setting_changes_the_digest(part: str):
    base = preset("smoke")
    settings = getattr(base, part)
    digests = {base.digest()}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        other = f"{value}x" if isinstance(value, str) else (value or 0) + 1
        changed = dataclasses.replace(settings, **{field.name: other})
        digests.add(dataclasses.replace(base, **{part: changed}).digest())
    assert len(digests) == 1 + len(dataclasses.fields(settings))


def test_a_later_setting_needs_a_default():
    for part in dataclasses.fields(Config):
        kind = getattr(preset("smoke"), part.name)
        if dataclasses.is_dataclass(kind):
            named = {field.name: field for field in dataclasses.fields(kind)}
            assert all(named[name].default is not dataclasses.MISSING for name in later(type(kind)))
    assert LATER == {"later": True}
