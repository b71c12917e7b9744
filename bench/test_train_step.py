"""One optimizer step of each system: batch, views, forward, backward, update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
import torch

from bench.measure.memory import measure_memory
from bench.timed import PRECISIONS, PROFILE, Timed
from bench.trial import COUNTS, Trial, first
from cookie.interfaces import IndexArray
from cookie.presets import preset
from cookie.training.precision import Precision

SYSTEMS = ("dual_stream", "dual_stream_triplet", "cookie", "single_stream")
BATCHES = (32, 128, 256) if PROFILE.full else (64,)
Negatives = Literal["in_batch", "queue", "momentum"]
MICRO_BATCHES = (None, 64, 16) if PROFILE.full else (None, 16)


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


@pytest.mark.parametrize("negatives", ["in_batch", "queue", "momentum"])
def test_negatives(timed: Timed, trial: Trial, device: str, negatives: Negatives) -> None:
    """COOKIE's step where the image-text loss looks outside the batch: a product, or keys too."""
    config = preset("tiny")
    loss = replace(config.loss, negatives=negatives)
    stepper = trial.stepper("cookie", replace(config, loss=loss), device)
    pairs, turns = first_captions(trial, config.train.batch_size), count()

    def run() -> torch.Tensor:
        turn = next(turns)
        return stepper.step(turn, stepper.batch(turn, pairs))[1]

    notes = timed(run, device=device, items=config.train.batch_size)
    notes["negatives"] = negatives
    assert torch.isfinite(cast(torch.Tensor, timed.result)).all()


@pytest.mark.parametrize("micro_batch", MICRO_BATCHES)
def test_micro_batches(timed: Timed, trial: Trial, device: str, micro_batch: int | None) -> None:
    """The same contrastive batch of 256 in parts: what memory it saves and what time it costs."""
    run = cached_step(trial, device, micro_batch)
    notes = timed(run, device=device, items=COUNTS.train)
    notes["micro_batch"] = micro_batch
    memory = measure_memory(fresh_step, trial.folder, device, micro_batch, device=device)
    notes["memory"] = memory.to_dict()
    assert torch.isfinite(cast(torch.Tensor, timed.result)).all()


def fresh_step(folder: Path, device: str, micro_batch: int | None) -> Callable[[], torch.Tensor]:
    """Return the step of :func:`cached_step` in a process that does nothing else."""
    torch.set_num_threads(1)
    return cached_step(Trial(folder), device, micro_batch)


def cached_step(trial: Trial, device: str, micro_batch: int | None) -> Callable[[], torch.Tensor]:
    """Return a step of COOKIE on all training images at once, ``micro_batch`` at a time."""
    config = preset("tiny")
    train = replace(config.train, batch_size=COUNTS.train, micro_batch=micro_batch)
    stepper = trial.stepper("cookie", replace(config, train=train), device)
    pairs, turns = first_captions(trial, COUNTS.train), count()

    def run() -> torch.Tensor:
        turn = next(turns)
        return stepper.step(turn, stepper.batch(turn, pairs))[1]

    return run


def first_captions(trial: Trial, images: int) -> IndexArray:
    """Return the first caption of each of the first ``images`` training images."""
    caption_image = trial.dataset.split("train").caption_image
    return np.searchsorted(caption_image, first(images))
