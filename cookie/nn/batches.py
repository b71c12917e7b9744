"""Two views as one batch: a single encoder call on twice the rows keeps the hardware busier."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cookie.interfaces import ImageBatch, TextBatch


def join_images(first: ImageBatch, second: ImageBatch | None) -> ImageBatch:
    """Return both batches, ``first`` on top; only ``first`` where there is no second."""
    if second is None:
        return first
    both = _concatenate(first.data, second.data)
    return ImageBatch(pixels=both) if first.pixels is not None else ImageBatch(tokens=both)


def join_texts(first: TextBatch, second: TextBatch | None) -> TextBatch:
    """Return both batches, ``first`` on top, the shorter one padded to the longer.

    Raises:
        ValueError: one view has tokens of a text encoder, the other only ids.
    """
    if second is None:
        return first
    if (first.tokens is None) != (second.tokens is None):
        raise ValueError("one view has tokens, the other has not")
    length = max(first.ids.shape[1], second.ids.shape[1])
    tokens = None
    if first.tokens is not None and second.tokens is not None:
        pair = (first.tokens, second.tokens)
        tokens = _concatenate(*(F.pad(x, (0, 0, 0, length - x.shape[1])) for x in pair))
    return TextBatch(
        _stack(first.ids, second.ids, length), _stack(first.mask, second.mask, length), tokens
    )


def _stack(first: Tensor, second: Tensor, length: int) -> Tensor:
    return torch.cat([F.pad(x, (0, length - x.shape[1])) for x in (first, second)])


def _concatenate(*parts: Tensor) -> Tensor:
    # Cached tokens are float16, which autocast to bfloat16 on a CPU refuses to promote.
    with torch.autocast(parts[0].device.type, enabled=False):
        return torch.cat(parts)
