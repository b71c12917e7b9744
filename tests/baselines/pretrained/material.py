"""Batches for small models of others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
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
