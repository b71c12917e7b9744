"""Batches for small models of others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from cookie.interfaces import ImageBatch, TextBatch


def shaken(model: nn.Module, scale: float = 0.1) -> nn.Module:
    """Return ``model`` in evaluation mode with large random weights, or all scores are alike."""
    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        parameter.data.add_(scale * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def pixels(count: int, size: int, seed: int = 0) -> ImageBatch:
    """Return random images, floats in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    return ImageBatch(torch.rand(count, 3, size, size, generator=generator))


def captions(lengths: Sequence[int], vocabulary: int, first: int = 2, seed: int = 1) -> TextBatch:
    """Return random captions of ``lengths``, padded with 0."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor(lengths)
    mask = torch.arange(int(sizes.max())) < sizes[:, None]
    ids = torch.randint(5, vocabulary, mask.shape, generator=generator)
    ids[:, 0] = first
    return TextBatch(ids * mask, mask)


def picture(width: int = 50, height: int = 40) -> Image.Image:
    """Return a photograph of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def save(model: Any, folder: Path, tokenizer: Any) -> None:  # noqa: ANN401 -- untyped library
    """Store a model with a tokenizer of three words, as a checkpoint's folder is."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "cube"]
    (folder / "vocab.txt").write_text("\n".join(words))
    model.save_pretrained(folder)
    tokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
