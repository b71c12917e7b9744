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
        log_chance: (P,) log probability of having been drawn; 0 for positives. Taken off the
            scores it makes a softmax over the drawn an estimate of the one over the whole batch
            (importance sampling; Bengio and Senecal, 2008).
        negatives: n, negatives per positive and direction.
    """

    images: Tensor
    captions: Tensor
    log_chance: Tensor
    negatives: int


class Draw(NamedTuple):
    """Negatives of each row.

    Attributes:
        columns: (R, n) int64.
        log_chance: (R, n) log probability of having been drawn, given the first one left out.
    """

    columns: Tensor
    log_chance: Tensor


def sample_negatives(similarity: Tensor, count: int) -> Draw:
    """Draw other columns of each row by their softmax probability.

    Without replacement and never the row's own index: the largest of logits plus Gumbel noise are
    such a draw, which needs no loop and no wait for the device. With their chance of exceeding
    the largest that was left out, sums over the drawn estimate sums over all without bias (Kool,
    van Hoof and Welling, "Stochastic Beams and Where to Find Them", ICML 2019).

    Args:
        similarity: (R, B) logits, R <= B; row i belongs to column i.
        count: n, at most B - 1.
    """
    rows, size = similarity.shape
    if not 1 <= count < size:
        raise ValueError(f"cannot draw {count} negatives out of {size - 1}")
    own = torch.eye(rows, size, dtype=torch.bool, device=similarity.device)
    logits = similarity.detach().float().masked_fill(own, -torch.inf).log_softmax(dim=1)
    noise = torch.rand_like(logits).clamp(min=SMALLEST)
    noisy = logits - torch.log((-torch.log(noise)).clamp(min=SMALLEST))
    best = noisy.topk(count + 1, dim=1)  # of all others, the row's own comes last: minus infinity
    columns, threshold = best.indices[:, :count], best.values[:, count:]
    rate = torch.exp(logits.gather(1, columns) - threshold)
    return Draw(columns, torch.log((-torch.expm1(-rate)).clamp(min=SMALLEST)))


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
    certain = torch.zeros(len(own), device=similarity.device)
    if count == 0:
        return TrainingPairs(own, own, certain, 0)
    captions = sample_negatives(similarity[:rows], count)
    images = sample_negatives(similarity.T[:rows], count)
    repeated = own.repeat_interleave(count)
    return TrainingPairs(
        torch.cat([own, repeated, images.columns.flatten()]),
        torch.cat([own, captions.columns.flatten(), repeated]),
        torch.cat([certain, captions.log_chance.flatten(), images.log_chance.flatten()]),
        count,
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
