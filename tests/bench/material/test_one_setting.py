"""A setting is changed by its name, and what is no number is refused."""

from __future__ import annotations

import pytest

from bench.material.one_setting import changed, number
from cookie.errors import UserError
from cookie.presets import preset


def test_one_value_is_changed_and_keeps_its_type() -> None:
    config = preset("smoke")
    assert changed(config, "train.learning_rate", 0.5).train.learning_rate == 0.5
    steps = changed(config, "train.steps", 7.0)
    assert (steps.train.steps, type(steps.train.steps)) == (7, int)
    assert config == preset("smoke")


@pytest.mark.parametrize("setting", ["train", "train.nothing", "nothing.steps", "train.precision"])
def test_what_is_no_number_is_refused(setting: str) -> None:
    with pytest.raises(UserError, match=f"{setting} is no number in the configuration"):
        number(preset("smoke"), setting)


@pytest.mark.parametrize("value", [2.5, float("nan"), float("inf")])
def test_a_count_takes_whole_numbers_alone(value: float) -> None:
    with pytest.raises(UserError, match=f"head.layers cannot be {value:g}: give whole numbers"):
        changed(preset("smoke"), "head.layers", value)
