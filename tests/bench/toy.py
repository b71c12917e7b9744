"""A corpus, an encoder and a pair scorer so small that their answers can be worked out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cookie.interfaces import (
    ImageBatch,
    ImageState,
    IndexArray,
    TextBatch,
    TextState,
    TextView,
)

WIDTH = 8


class ToyCorpus:
    """``images`` random images; image i has ``i % 3 + 1`` captions, so the truth is ragged."""

    def __init__(self, images: int = 7, seed: int = 0) -> None:
        draws = np.random.default_rng(seed)
        self.caption_image: IndexArray = np.repeat(np.arange(images), np.arange(images) % 3 + 1)
        self.image_count = images
        lengths = draws.integers(2, 6, len(self.caption_image))
        self.captions: Sequence[str] = ["w" * length for length in lengths]
        self._pixels = torch.from_numpy(draws.integers(0, 256, (images, 3, 4, 4), dtype=np.uint8))
        self._ids = torch.from_numpy(draws.integers(1, 50, (len(lengths), 6)))
        self._mask = torch.arange(6) < torch.from_numpy(lengths)[:, None]

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return pixels (B, 3, 4, 4)."""
        return ImageBatch(self._pixels[torch.from_numpy(indices)])

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return captions cut to the longest."""
        rows = torch.from_numpy(indices)
        longest = int(self._mask[rows].sum(1).max())
        mask = self._mask[rows, :longest]
        return TextBatch(self._ids[rows, :longest] * mask, mask)


class ToyEncoder(nn.Module):
    """Random linear maps of pixels and of word counts."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.image = nn.Parameter(torch.randn(48, WIDTH, generator=generator))
        self.text = nn.Parameter(torch.randn(50, WIDTH, generator=generator))

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return (B, WIDTH)."""
        values = (images.data.float() / 255 - 0.5).flatten(1)
        return nn.functional.normalize(values @ self.image, dim=1)

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return (B, WIDTH)."""
        summed = (self.text[texts.ids] * texts.mask[..., None]).sum(1)
        return nn.functional.normalize(summed, dim=1)


class ToyScorer(ToyEncoder):
    """A pair scorer that is no inner product of two embeddings."""

    def prepare_images(self, images: ImageBatch) -> ImageState:
        """Return one token an image."""
        return ImageState(self.encode_images(images)[:, None])

    def prepare_texts(self, texts: TextBatch) -> TextState:
        """Return word vectors."""
        return TextState(self.text[texts.ids] * texts.mask[..., None], texts.mask)

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Return (P,)."""
        joint = torch.tanh(images.tokens + texts.tokens) * texts.mask[..., None]
        return joint.sum(dim=(1, 2)).float()
