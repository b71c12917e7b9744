"""Batches put together and taken apart.

Two views become one batch, since a single encoder call on twice the rows keeps the hardware
busier; a training batch becomes micro-batches, since fewer rows at a time need less memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from cookie.interfaces import ImageBatch, TextBatch, TrainBatch

LENGTHS = 4
"""Parts that a CPU encodes a batch of captions in, from the shortest to the longest."""


def join_images(first: ImageBatch, second: ImageBatch | None) -> ImageBatch:
    """Return both batches, ``first`` on top; only ``first`` where there is no second."""
    if second is None:
        return first
    return first.like(_concatenate(first.data, second.data))


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


def by_length(encode: Callable[[TextBatch], Tensor], texts: TextBatch) -> Tensor:
    """Return ``encode(texts)``, on a CPU in parts of like lengths, each cut to its longest caption.

    A batch of hundreds is as long as its longest caption, most of it padding that a CPU pays for.

    Args:
        encode: captions (B, L) to one row each; a row depends on no other.
        texts: in any order.
    """
    if texts.ids.device.type != "cpu" or len(texts) < LENGTHS**2:
        return encode(texts)
    lengths = texts.mask.sum(dim=1)  # (B,)
    order = lengths.argsort(stable=True)
    parts = [texts.at(rows, int(lengths[rows].max())) for rows in order.chunk(LENGTHS)]
    return torch.cat([encode(part) for part in parts])[order.argsort()]


def split_batch(batch: TrainBatch, rows: int) -> list[TrainBatch]:
    """Return ``batch`` in parts of ``rows`` pairs, the last one perhaps shorter; views, no copies.

    Captions keep the padding of the whole batch.
    """
    starts = range(0, len(batch), rows)
    return [batch_rows(batch, slice(start, start + rows)) for start in starts]


def batch_rows(batch: TrainBatch, rows: slice) -> TrainBatch:
    """Return the pairs at ``rows``, with all views that there are."""
    images, texts = batch.images_second, batch.texts_second
    return TrainBatch(
        batch.images.like(batch.images.data[rows]),
        batch.texts.at(rows),
        None if images is None else images.like(images.data[rows]),
        None if texts is None else texts.at(rows),
        None if batch.image_ids is None else batch.image_ids[rows],
    )


def _stack(first: Tensor, second: Tensor, length: int) -> Tensor:
    return torch.cat([F.pad(x, (0, length - x.shape[1])) for x in (first, second)])


def _concatenate(*parts: Tensor) -> Tensor:
    # Cached tokens are float16, which autocast to bfloat16 on a CPU refuses to promote.
    with torch.autocast(parts[0].device.type, enabled=False):
        return torch.cat(parts)
