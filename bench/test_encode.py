"""Images and captions into embeddings, by COOKIE: batch sizes, precisions, devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor

from bench.timed import PRECISIONS, PROFILE, Timed
from bench.trial import Trial, first
from cookie.interfaces import DualEncoder
from cookie.training.precision import Precision, autocast

BATCHES = (1, 8, 64, 256) if PROFILE.full else (1, 32)
PRESETS = ("smoke", "tiny")


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("preset", PRESETS)
def test_encode_images(
    timed: Timed, trial: Trial, device: str, preset: str, precision: Precision, batch_size: int
) -> None:
    model = cast(DualEncoder, trial.model("cookie", preset, device))
    images = trial.corpus(preset, device).images(first(batch_size))
    encode = encoding(lambda: model.encode_images(images), device, precision)
    timed(encode, device=device, items=batch_size)
    assert_normalized(timed.result, batch_size)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("preset", PRESETS)
def test_encode_texts(
    timed: Timed, trial: Trial, device: str, preset: str, precision: Precision, batch_size: int
) -> None:
    model = cast(DualEncoder, trial.model("cookie", preset, device))
    texts = trial.corpus(preset, device).texts(first(batch_size))
    encode = encoding(lambda: model.encode_texts(texts), device, precision)
    timed(encode, device=device, items=batch_size)
    assert_normalized(timed.result, batch_size)


def encoding(
    encode: Callable[[], Tensor], device: str, precision: Precision
) -> Callable[[], Tensor]:
    """Return ``encode`` as it is used for a gallery."""

    @torch.inference_mode()
    def run() -> Tensor:
        with autocast(torch.device(device), precision):
            return encode()

    return run


def assert_normalized(embeddings: object, count: int) -> None:
    """Check that what was timed is what was meant."""
    assert isinstance(embeddings, Tensor)
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1).cpu(), torch.ones(count), atol=1e-4, rtol=0.0)
