"""The ridge floor on generated scenes knows more than chance and less than everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cells.floor import caption_features, floor_metrics, image_features
from bench.material.workshop import Setup, Workshop
from cookie.interfaces import ImageBatch, TextBatch
from tests.bench.toy import ToyCorpus


def test_features_are_read_in_order_over_batches() -> None:
    corpus = ToyCorpus(images=300)  # more than a batch

    def read_images(images: ImageBatch) -> torch.Tensor:
        return images.data.float().flatten(1)

    def read_texts(texts: TextBatch) -> torch.Tensor:
        return texts.mask.sum(1, keepdim=True).float()

    everything = corpus.images(np.arange(300))
    assert torch.equal(image_features(corpus, read_images), read_images(everything))
    lengths = [len(caption) for caption in corpus.captions]
    assert caption_features(corpus, read_texts).flatten().tolist() == lengths


def test_the_floor_from_scratch_beats_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path))
    found = floor_metrics(Workshop(Setup("scenes", "smoke", "cpu")))
    images, captions = found.t2i.gallery, found.i2t.gallery
    chance = sum(100 * k / images for k in (1, 5, 10)) + sum(
        100 * (1 - (1 - k / captions) ** 5) for k in (1, 5, 10)
    )
    assert chance < found.rsum < 500
