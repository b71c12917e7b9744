"""What is not finite is found, with its step and part."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from cookie.config import TrainConfig
from cookie.errors import UserError
from cookie.training.guard import LossWindow

NAMES = ["loss", "image_text", "gradient_norm"]


def test_means_by_hand_and_an_empty_window_after():
    window = LossWindow(TrainConfig(), Path("run"))
    window.add(NAMES, torch.tensor([1.0, 2.0, 3.0]))
    window.add(NAMES, torch.tensor([3.0, 2.0, 1.0]))
    assert len(window) == 2
    assert window.flush(2, 0) == {"loss": 2.0, "image_text": 2.0, "gradient_norm": 2.0}
    assert len(window) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("row", range(4))
def test_the_first_bad_step_and_part_are_named(value: float, part: int, row: int):
    window = LossWindow(TrainConfig(learning_rate=0.5), Path("run"))
    for index in range(4):
        values = torch.ones(3)
        if index == row:
            values[part] = value
        if index > row:
            values[:] = value
        window.add(NAMES, values)
    with pytest.raises(UserError) as caught:
        window.flush(20, 10)
    assert re.search(rf"at step {17 + row}, where '{NAMES[part]}'", str(caught.value))
    assert "(now 0.5)" in str(caught.value)
    assert "weights, of step 10, stay in 'run'" in str(caught.value)
