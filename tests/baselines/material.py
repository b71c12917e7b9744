"""Small models, batches and stand-ins that the tests of the single-stream share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cookie.config import Config, JointConfig
from cookie.interfaces import (
    ImageBatch,
    ImageState,
    IndexArray,
    TextBatch,
    TextState,
    TextView,
    TrainBatch,
)
from cookie.presets import preset

VOCABULARY = 40
MASK_ID = 4


def small_config(text_layers: int = 2, dropout: float = 0.0, **joint: Any) -> Config:  # noqa: ANN401
    config = preset("smoke")
    settings: dict[str, Any] = {"layers": 1, "grid": 2, **joint}
    return replace(
        config,
        text=replace(config.text, width=32, layers=text_layers, mlp_width=48, dropout=dropout),
        vision=replace(config.vision, width=24),
        head=replace(config.head, width=16, embedding=20, dropout=dropout),
        joint=JointConfig(**settings),
    )


def make_images(count: int, seed: int = 0) -> ImageBatch:
    generator = torch.Generator().manual_seed(seed)
    return ImageBatch(tokens=torch.randn(count, 16, 24, generator=generator))


def make_texts(lengths: Sequence[int], seed: int = 1) -> TextBatch:
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor(lengths)
    mask = torch.arange(int(sizes.max())) < sizes[:, None]
    ids = torch.randint(5, VOCABULARY, mask.shape, generator=generator)
    ids[:, 0] = 2
    return TextBatch(ids * mask, mask)


def hide_words(texts: TextBatch, places: Sequence[tuple[int, int]]) -> TextBatch:
    ids = texts.ids.clone()
    for row, column in places:
        ids[row, column] = MASK_ID
    return TextBatch(ids, texts.mask)


def make_batch(count: int = 5) -> TrainBatch:
    texts = make_texts([4 + row % 3 for row in range(count)])
    second = hide_words(texts, [(row, 1 + row % 2) for row in range(count)])
    return TrainBatch(make_images(count), texts, texts_second=second)


class NumberScorer:
    """Scores image a with caption b as 1000 a + b, and remembers the shapes that it was given."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int, int]] = []  # pairs, image tokens, caption tokens

    def prepare_images(self, images: ImageBatch) -> ImageState:
        """Hand on the tokens."""
        return ImageState(images.data)

    def prepare_texts(self, texts: TextBatch) -> TextState:
        """Hand on the ids, one channel wide."""
        return TextState(texts.ids[..., None].float(), texts.mask)

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Return the number of each pair."""
        self.batches.append((*images.tokens.shape[:2], texts.tokens.shape[1]))
        assert bool(texts.mask.any(dim=0).all()), "columns of padding alone were not cut off"
        return 1000 * images.tokens[:, 0, 0] + texts.tokens[:, 0, 0]


def numbered_states(images: int, lengths: Sequence[int]) -> tuple[ImageState, TextState]:
    """Return states whose first token says which image or caption they are."""
    tokens = torch.arange(images).float()[:, None, None].expand(images, 3, 2)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    words = torch.arange(len(lengths)).float()[:, None, None].expand(*mask.shape, 2)
    return ImageState(tokens), TextState(words, mask)


class ListCorpus:
    """A corpus over tensors in memory, as :class:`cookie.interfaces.Corpus` wants it."""

    def __init__(self, images: ImageBatch, texts: TextBatch) -> None:
        self._images, self._texts = images, texts
        self.image_count = len(images)
        lengths = texts.mask.sum(dim=1).tolist()
        self.captions = ["word " * length for length in lengths]
        self.caption_image: IndexArray = np.arange(len(texts)) % len(images)

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return images as they are."""
        return ImageBatch(tokens=self._images.data[indices])

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return captions as they are, padded to the longest of them."""
        longest = int(self._texts.mask[indices].sum(dim=1).max())
        return TextBatch(self._texts.ids[indices, :longest], self._texts.mask[indices, :longest])
