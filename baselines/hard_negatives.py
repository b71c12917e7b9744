"""Which captions and images of a batch are hard to tell from the right ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

SMALLEST = 1e-20  # keeps the logarithm of a uniform draw finite


class TrainingPairs(NamedTuple):
    """The pairs that a matching loss scores, in three parts one after the other.

    First R positives (i, i); then R * n pairs of image i with a negative caption, i by i; then
    R * n pairs of caption i with a negative image, i by i.

    Attributes:
        images: (P,) int64 batch rows.
        captions: (P,) int64 batch rows.
        negatives: n, negatives per positive and direction.
    """

    images: Tensor
    captions: Tensor
    negatives: int


def sample_negatives(similarity: Tensor, count: int) -> Tensor:
    """Return (R, count) int64: other columns of each row, drawn by their softmax probability.

    Without replacement and never the row's own index: the largest of logits plus Gumbel noise are
    such a draw (Kool et al., ICML 2019), which needs no loop and no wait for the device.

    Args:
        similarity: (R, B) logits, R <= B; row i belongs to column i.
        count: at most B - 1.
    """
    rows, size = similarity.shape
    if not 1 <= count < size:
        raise ValueError(f"cannot draw {count} negatives out of {size - 1}")
    logits = similarity.detach().float()
    noise = torch.rand_like(logits).clamp(min=SMALLEST)
    gumbel = -torch.log((-torch.log(noise)).clamp(min=SMALLEST))
    own = torch.eye(rows, size, dtype=torch.bool, device=logits.device)
    return (logits + gumbel).masked_fill(own, -torch.inf).topk(count, dim=1).indices


def training_pairs(similarity: Tensor, count: int, rows: int | None = None) -> TrainingPairs:
    """Return positives of a batch with ``count`` hard negatives each in both directions.

    Args:
        similarity: (B, B) logits of image i (row) and caption j (column).
        count: n; fewer where the batch has fewer others.
        rows: R, positives wanted, the first of the batch; all B by default. Their negatives come
            from the whole batch all the same.
    """
    count = min(count, len(similarity) - 1)
    own = torch.arange(len(similarity), device=similarity.device)[:rows]
    if count == 0:
        return TrainingPairs(own, own, 0)
    captions = sample_negatives(similarity[:rows], count).flatten()
    images = sample_negatives(similarity.T[:rows], count).flatten()
    repeated = own.repeat_interleave(count)
    return TrainingPairs(
        torch.cat([own, repeated, images]), torch.cat([own, captions, repeated]), count
    )


def candidates(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return scores (P,) in the order of :class:`TrainingPairs` as two tables (R, 1 + n).

    Column 0 is the positive; the first table holds each image's captions, the second each
    caption's images.
    """
    size = len(scores) // (1 + 2 * count)
    positive = scores[:size]
    captions, images = scores[size:].view(2, size, count)
    return (
        torch.cat([positive[:, None], captions], dim=1),
        torch.cat([positive[:, None], images], dim=1),
    )
