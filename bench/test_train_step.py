"""One optimizer step of each system: batch, views, forward, backward, update."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import cast

import numpy as np
import pytest
import torch

from bench.timed import PRECISIONS, PROFILE, Timed
from bench.trial import Trial, first
from cookie.config import preset
from cookie.interfaces import IndexArray
from cookie.training.precision import Precision

SYSTEMS = ("dual_stream", "dual_stream_triplet", "cookie", "single_stream")
BATCHES = (32, 128, 256) if PROFILE.full else (64,)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("precision", PRECISIONS if PROFILE.full else ("auto",))
@pytest.mark.parametrize("system", SYSTEMS)
def test_train_step(
    timed: Timed, trial: Trial, device: str, system: str, precision: Precision, batch_size: int
) -> None:
    config = preset("tiny")
    train = replace(config.train, precision=precision, batch_size=batch_size)
    stepper = trial.stepper(system, replace(config, train=train), device)
    pairs, turns = first_captions(trial, batch_size), count()

    def run() -> torch.Tensor:
        turn = next(turns)
        return stepper.step(turn, stepper.batch(turn, pairs))[1]

    timed(run, device=device, items=batch_size)
    assert torch.isfinite(cast(torch.Tensor, timed.result)).all()


def first_captions(trial: Trial, images: int) -> IndexArray:
    """Return the first caption of each of the first ``images`` training images."""
    caption_image = trial.dataset.split("train").caption_image
    return np.searchsorted(caption_image, first(images))
