"""Getting data ready: drawing, loading batches, augmenting, cutting captions into tokens."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
import torch

from bench.timed import PROFILE, Timed
from bench.trial import Trial, first
from cookie.data.pixels import open_pixels
from cookie.interfaces import TextView

BATCHES = (64, 256) if PROFILE.full else (128,)
SIZES = (32, 64, 224) if PROFILE.full else (64,)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("augmented", [False, True], ids=["plain", "augmented"])
def test_load_images(
    timed: Timed, trial: Trial, device: str, augmented: bool, batch_size: int
) -> None:
    corpus, rows = trial.corpus("tiny", device, "train"), first(batch_size)
    generator = torch.Generator().manual_seed(0) if augmented else None
    timed(lambda: corpus.images(rows, generator), device=device, items=batch_size)
    assert len(corpus.images(rows, generator)) == batch_size


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("view", [None, "mask", "delete"])
def test_load_texts(
    timed: Timed, trial: Trial, device: str, view: TextView | None, batch_size: int
) -> None:
    corpus, rows = trial.corpus("tiny", device, "train"), first(batch_size)
    generator = None if view is None else torch.Generator().manual_seed(0)
    timed(lambda: corpus.texts(rows, generator, view or "mask"), device=device, items=batch_size)
    assert len(corpus.texts(rows)) == batch_size


def test_tokenize(timed: Timed, trial: Trial) -> None:
    captions = trial.dataset.split("train").captions
    timed(lambda: trial.tokenizer.encode(captions, 32), items=len(captions))


@pytest.mark.parametrize("size", SIZES)
def test_draw_scenes(timed: Timed, trial: Trial, tmp_path: Path, size: int) -> None:
    """From nothing to a file of pixels, as the first run does."""
    turns = count()
    timed(
        lambda: open_pixels(trial.dataset, "test", size, tmp_path / str(next(turns))),
        items=len(trial.dataset.split("test")),
    )
