"""A model of others with what belongs to it: how it reads images and captions, whose weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cookie.interfaces import ImageBatch, TextBatch

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Bundle(Generic[M]):
    """A model that is ready to be asked.

    Attributes:
        model: in evaluation mode; a ``DualEncoder`` or a ``PairScorer``.
        image: a picture to (3, H, W), floats in 0..1, cut and resized as the model wants it.
        texts: captions to a batch, cut to what the model reads.
        image_size: H = W.
        weights: where they are from; None where they are random, and accuracy means nothing.
    """

    model: M
    image: Callable[[Image.Image], Tensor]
    texts: Callable[[Sequence[str]], TextBatch]
    image_size: int
    weights: str | None

    def images(self, pictures: Sequence[Image.Image]) -> ImageBatch:
        """Return pictures as one batch."""
        return ImageBatch(torch.stack([self.image(picture) for picture in pictures]))


class Normalize(nn.Module):
    """Bytes, or floats in 0..1, to (x - mean) / std, channel by channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: ImageBatch) -> Tensor:
        """Return (B, 3, H, W) as the model was trained on."""
        pixels = images.data
        if pixels.dtype == torch.uint8:
            pixels = pixels.float() / 255
        return (pixels - self.mean) / self.std


def processor_transform(processor: Callable[..., object]) -> Callable[[Image.Image], Tensor]:
    """Return a ``transformers`` image processor as a transform that does not normalize."""

    def transform(picture: Image.Image) -> Tensor:
        made = processor(images=picture.convert("RGB"), do_normalize=False, return_tensors="np")
        pixels: Tensor = torch.from_numpy(np.asarray(made["pixel_values"][0]))  # type: ignore[index]
        return pixels.float()

    return transform


def square(side: int) -> Callable[[Image.Image], Tensor]:
    """Return a transform that resizes a picture to ``side`` x ``side``, bicubic."""

    def transform(picture: Image.Image) -> Tensor:
        resized = picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.asarray(resized).copy()).permute(2, 0, 1).float() / 255

    return transform


def tokenizer_texts(
    tokenizer: Callable[..., object], max_tokens: int, padding: str = "longest"
) -> Callable[[Sequence[str]], TextBatch]:
    """Return a ``transformers`` tokenizer as a function from captions to a batch."""

    def texts(captions: Sequence[str]) -> TextBatch:
        made = tokenizer(
            list(captions),
            padding=padding,
            truncation=True,
            max_length=max_tokens,
            return_attention_mask=True,
            return_tensors="np",
        )
        ids, mask = (np.asarray(made[key]) for key in ("input_ids", "attention_mask"))  # type: ignore[index]
        return TextBatch(torch.from_numpy(ids).long(), torch.from_numpy(mask).bool())

    return texts
