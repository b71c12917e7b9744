"""What goes into models: batches of images and captions, and pairs of them for a training step.

B images or captions in a batch, N image tokens, L caption tokens, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

IndexArray: TypeAlias = NDArray[np.int64]
TextView: TypeAlias = Literal["mask", "delete", "dropout", "caption"]
PIXELS_ON_CPU = 128 * 64 * 64
"""Pixels that an encoder works on at a time on a CPU: 10 images of 224 x 224. What it makes of more
is too large for the allocator to keep, and each operator waits for fresh memory: 128 photographs at
once take twice the time of 10 at a time."""


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Images, as pixels or as the tokens that a frozen backbone made of them; exactly one is set.

    Attributes:
        pixels: (B, 3, H, W), uint8 in 0..255 or floating point in 0..1; a backbone normalizes
            them itself.
        tokens: (B, N, C) floating point backbone output, e.g. a 7x7 grid as N = 49.
    """

    pixels: Tensor | None = None
    tokens: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.pixels is None) == (self.tokens is None):
            raise ValueError("an ImageBatch holds either pixels or tokens")

    @property
    def data(self) -> Tensor:
        """The tensor that is set."""
        return self.pixels if self.pixels is not None else _given(self.tokens)

    def __len__(self) -> int:
        return len(self.data)

    def like(self, data: Tensor) -> ImageBatch:
        """Return a batch that holds ``data`` as what this one holds: pixels or tokens."""
        return ImageBatch(data) if self.pixels is not None else ImageBatch(tokens=data)

    def to(self, device: torch.device | str) -> ImageBatch:
        """Return the batch on ``device``."""
        return self.like(self.data.to(device, non_blocking=True))


def images_at_once(images: ImageBatch) -> int | None:
    """Return how many of such images are best encoded at a time, None for any number."""
    if images.pixels is None or images.pixels.device.type != "cpu":
        return None
    height, width = images.pixels.shape[-2:]
    return max(1, PIXELS_ON_CPU // (height * width))


def in_parts(images: ImageBatch, size: int | None = None) -> Iterator[ImageBatch]:
    """Yield a batch in parts of at most ``size`` images, in order.

    Args:
        images: the batch.
        size: of a part; None for what suits the device, see :func:`images_at_once`.
    """
    most = size or images_at_once(images) or max(1, len(images))
    yield from map(images.like, torch.split(images.data, most))


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Captions as padded token ids, with the states of a frozen text encoder where cached.

    Attributes:
        ids: (B, L) int64 token ids; the first of a caption is [CLS], the last [SEP].
        mask: (B, L) bool, True at real tokens, False at padding.
        tokens: (B, L, C) floating point text encoder output, or None: then the encoder runs.
    """

    ids: Tensor
    mask: Tensor
    tokens: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, rows: Tensor | slice, length: int | None = None) -> TextBatch:
        """Return the captions at ``rows``, cut to ``length`` tokens; None leaves their padding."""
        tokens = None if self.tokens is None else self.tokens[rows, :length]
        return TextBatch(self.ids[rows, :length], self.mask[rows, :length], tokens)

    def to(self, device: torch.device | str) -> TextBatch:
        """Return the batch on ``device``."""
        tokens = None if self.tokens is None else self.tokens.to(device, non_blocking=True)
        ids = self.ids.to(device, non_blocking=True)
        return TextBatch(ids, self.mask.to(device, non_blocking=True), tokens)


@dataclass(frozen=True, slots=True)
class TrainBatch:
    """One training step's matching pairs: image i belongs to caption i, no image occurs twice.

    Attributes:
        images: B images, first augmented view.
        texts: B captions, as written.
        images_second: the same images under another augmentation; None unless asked for.
        texts_second: the same captions under another augmentation; None unless asked for.
        image_ids: (B,) int64 image indices in the corpus; None unless asked for.
    """

    images: ImageBatch
    texts: TextBatch
    images_second: ImageBatch | None = None
    texts_second: TextBatch | None = None
    image_ids: Tensor | None = None

    def __len__(self) -> int:
        return len(self.texts)


def _given(tensor: Tensor | None) -> Tensor:
    if tensor is None:  # pragma: no cover -- excluded by the constructors
        raise ValueError("the batch is empty")
    return tensor
