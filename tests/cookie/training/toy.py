"""The smallest system and corpus that exercise the whole trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cookie.config import Config, TrainConfig
from cookie.interfaces import (
    ImageBatch,
    IndexArray,
    LossOutput,
    TextBatch,
    TextView,
    TrainBatch,
)
from cookie.presets import preset

WORDS = 40


class ToyCorpus:
    """Images of noise around a word's own pattern; three captions an image, each one word."""

    def __init__(self, images: int = 24, captions_each: int = 3) -> None:
        random = np.random.default_rng(0)
        self.caption_image: IndexArray = np.repeat(np.arange(images), captions_each)
        self.captions: Sequence[str] = [f"word {image % WORDS}" for image in self.caption_image]
        self.image_count = images
        self.pixels = torch.from_numpy(random.random((images, 3, 4, 4), np.float32))
        self.calls: list[tuple[str, list[int], bool]] = []

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return the pixels, with noise of the generator if there is one."""
        self.calls.append(("images", indices.tolist(), generator is not None))
        pixels = self.pixels[torch.from_numpy(indices)]
        if generator is not None:
            pixels = pixels + 0.1 * torch.rand(pixels.shape, generator=generator)
        return ImageBatch(pixels=pixels)

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return one id a caption, now and then the next one if there is a generator."""
        self.calls.append((f"texts {view}", indices.tolist(), generator is not None))
        ids = torch.from_numpy(self.caption_image[indices] % WORDS)[:, None]
        if generator is not None:
            ids = ids + torch.randint(0, 2, ids.shape, generator=generator)
        return TextBatch(ids, torch.ones_like(ids, dtype=torch.bool))


class ToySystem(nn.Module):
    """A linear map of the pixels and an embedding of the word, with dropout and InfoNCE."""

    image_views = 1
    text_view: TextView | None = None
    text_layers: int | None = None

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.image = nn.Linear(48, 8)
            self.text = nn.Embedding(WORDS + 1, 8)
            self.still = nn.Linear(2, 2).requires_grad_(False)
            self.norm = nn.BatchNorm1d(8)
        self.seen: list[TrainBatch] = []
        self.poison_at: int | None = None

    def parameter_groups(self, train: TrainConfig) -> list[dict[str, Any]]:
        """Return two groups with rates of their own."""
        return [
            {"params": list(self.image.parameters()), "lr": train.learning_rate},
            {
                "params": [*self.text.parameters(), *self.norm.parameters()],
                "lr": train.encoder_rate,
                "weight_decay": 0.0,
            },
        ]

    def training_loss(self, batch: TrainBatch) -> LossOutput:
        """Return InfoNCE, or what is not a number from batch ``poison_at`` on."""
        assert batch.images.pixels is not None
        self.seen.append(batch)
        images = self.norm(self.image(F.dropout(batch.images.pixels.flatten(1), 0.2)))
        texts = self.text(batch.texts.ids[:, 0])
        scores = F.normalize(images) @ F.normalize(texts).T * 10
        loss = F.cross_entropy(scores.float(), torch.arange(len(scores), device=scores.device))
        if self.poison_at is not None and len(self.seen) > self.poison_at:
            loss = loss * float("nan")
        return LossOutput(loss, {"image_text": loss.detach(), "texts": texts.detach().norm()})


def config(**changes: Any) -> Config:  # noqa: ANN401 -- any field of TrainConfig
    """Return smoke settings with ``changes`` to the training part."""
    defaults = {"steps": 12, "batch_size": 7, "evaluate_every": 4, "precision": "float32"}
    base = preset("smoke")
    return replace(base, train=replace(base.train, **{**defaults, **changes}))
