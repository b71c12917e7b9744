"""Which captions and images of a batch are hard to tell from the right ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

SMALLEST = 1e-20  # keeps the logarithm of a uniform draw finite


class TrainingPairs(NamedTuple):
    """The pairs that a matching loss scores, in three parts one after the other.

    First the B positives (i, i); then B * n pairs of image i with a negative caption, i by i;
    then B * n pairs of caption i with a negative image, i by i.

    Attributes:
        images: (P,) int64 batch rows.
        captions: (P,) int64 batch rows.
        negatives: n, negatives per positive and direction.
    """

    images: Tensor
    captions: Tensor
    negatives: int


def sample_negatives(similarity: Tensor, count: int) -> Tensor:
    """Return (B, count) int64: other columns of each row, drawn by their softmax probability.

    Without replacement and never the row's own index: the largest of logits plus Gumbel noise are
    such a draw (Kool et al., ICML 2019), which needs no loop and no wait for the device.

    Args:
        similarity: (B, B) logits; row i belongs to column i.
        count: at most B - 1.
    """
    size = len(similarity)
    if not 1 <= count < size:
        raise ValueError(f"cannot draw {count} negatives out of {size - 1}")
    logits = similarity.detach().float()
    noise = torch.rand_like(logits).clamp(min=SMALLEST)
    gumbel = -torch.log((-torch.log(noise)).clamp(min=SMALLEST))
    own = torch.eye(size, dtype=torch.bool, device=logits.device)
    return (logits + gumbel).masked_fill(own, -torch.inf).topk(count, dim=1).indices


def training_pairs(similarity: Tensor, count: int) -> TrainingPairs:
    """Return all positives of a batch with ``count`` hard negatives each in both directions.

    Args:
        similarity: (B, B) logits of image i (row) and caption j (column).
        count: n; fewer where the batch has fewer others.
    """
    size = len(similarity)
    count = min(count, size - 1)
    own = torch.arange(size, device=similarity.device)
    if count == 0:
        return TrainingPairs(own, own, 0)
    repeated = own.repeat_interleave(count)
    captions = sample_negatives(similarity, count).flatten()
    images = sample_negatives(similarity.T, count).flatten()
    return TrainingPairs(
        torch.cat([own, repeated, images]), torch.cat([own, captions, repeated]), count
    )


def candidates(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return scores (P,) in the order of :class:`TrainingPairs` as two tables (B, 1 + n).

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
