"""The losses as pure functions of embeddings, and the temperature; float32 even under autocast.

Everywhere row i of the first matrix belongs to row i of the second, and every other row is a
negative; :func:`info_nce` can take more from outside the batch. Embeddings are L2-normalized by
whoever made them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cookie.interfaces import Outside


class Temperature(nn.Module):
    """A learned inverse temperature: 1 / t, with t kept at ``minimum`` or above.

    Args:
        initial: t at the start.
        minimum: a smaller t lets single hard (or mislabelled) negatives take over.
    """

    def __init__(self, initial: float, minimum: float) -> None:
        super().__init__()
        self.limit = -math.log(minimum)
        self.log_scale = nn.Parameter(torch.tensor(min(-math.log(initial), self.limit)))

    def forward(self) -> Tensor:
        """Return the scale 1 / t, a scalar to multiply cosines with."""
        with torch.no_grad():  # clamp the parameter, not the result: that would stop its gradient
            self.log_scale.clamp_(max=self.limit)
        return self.log_scale.exp()

    @property
    def value(self) -> float:
        """The temperature t; reading it waits for the device."""
        return math.exp(-min(float(self.log_scale.detach()), self.limit))


def info_nce(
    first: Tensor, second: Tensor, scale: Tensor | float, outside: Outside | None = None
) -> Tensor:
    """Return the symmetric contrastive loss of matching rows (CLIP; Radford et al., 2021).

    The mean of two cross entropies: each row of ``first`` finds its partner among the rows of
    ``second``, and the reverse. Used between image and caption as well as between two views of
    the same images or of the same captions.

    With ``outside``, partners are looked for among the queued embeddings as well, and where it
    has keys among these in place of the batch's own embeddings: MoCo (He et al., CVPR 2020) with
    the batch's other keys as further negatives, as in ALBEF (Li et al., NeurIPS 2021).

    Args:
        first: (B, D), L2-normalized; of images where there is ``outside``.
        second: (B, D), L2-normalized; of captions where there is ``outside``.
        scale: inverse temperature.
        outside: what else the rows are compared with; None for nothing.
    """
    with _full_precision(first):
        if outside is not None:
            images, texts = outside.keys or (first, second)
            there = _finding(first, texts, outside.texts, outside.excluded, scale)
            return (there + _finding(second, images, outside.images, outside.excluded, scale)) / 2
        logits = scale * _cosines(first, second)  # (B, B)
        labels = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def nt_xent(first: Tensor, second: Tensor, scale: Tensor | float) -> Tensor:
    """Return the two-view loss of SimCLR (Chen et al., 2020): negatives from both views.

    A row's partner is found among the 2B - 1 others, its own view's included; only meaningful
    within one modality.

    Args:
        first: (B, D), L2-normalized.
        second: (B, D), L2-normalized.
        scale: inverse temperature.
    """
    with _full_precision(first):
        both = torch.cat([first, second])
        logits = scale * _cosines(both, both)  # (2B, 2B)
        logits = logits.fill_diagonal_(-math.inf)
        labels = torch.arange(len(both), device=both.device).roll(len(first))
        return F.cross_entropy(logits, labels)


def sum_triplet(first: Tensor, second: Tensor, margin: float) -> Tensor:
    """Return the sum-of-hinges loss over all negatives of the batch, averaged over the rows.

    What VSE++ (Faghri et al., 2018) compares itself with, and the start that later work gives it:
    before anything is learned, the hardest negatives pull all embeddings to one point. The two
    directions are added, as in the paper.

    Args:
        first: (B, D), L2-normalized.
        second: (B, D), L2-normalized.
        margin: in units of cosine.
    """
    with _full_precision(first):
        scores = _cosines(first, second)  # (B, B)
        positives, count = scores.diagonal(), len(scores)
        hinges = (margin + scores - positives[:, None]).clamp(min=0)
        hinges = hinges + (margin + scores - positives).clamp(min=0)
        # A row's own partner stands at the margin in both directions.
        return hinges.sum() / count - 2 * margin


def hardest_triplet(first: Tensor, second: Tensor, margin: float) -> Tensor:
    """Return the max-of-hinges loss of VSE++ (Faghri et al., 2018), averaged over the batch.

    Each row is pushed ``margin`` further from its hardest negative than from its partner, in
    both directions; the two directions are added, as in the paper.

    Args:
        first: (B, D), L2-normalized.
        second: (B, D), L2-normalized.
        margin: in units of cosine.
    """
    with _full_precision(first):
        scores = _cosines(first, second)  # (B, B)
        positives = scores.diagonal()
        same = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        negatives = scores.masked_fill(same, -math.inf)
        by_first = (margin + negatives.amax(dim=1) - positives).clamp(min=0)
        by_second = (margin + negatives.amax(dim=0) - positives).clamp(min=0)
        return by_first.mean() + by_second.mean()


def _finding(
    rows: Tensor, keys: Tensor, queued: Tensor, excluded: Tensor, scale: Tensor | float
) -> Tensor:
    """Return the cross entropy of finding key i for row i among all keys and queued ones."""
    others = scale * _cosines(rows, queued)  # (B, Q)
    others = others.masked_fill(excluded, -math.inf)
    logits = torch.cat([scale * _cosines(rows, keys), others], dim=1)  # (B, B + Q)
    return F.cross_entropy(logits, torch.arange(len(rows), device=rows.device))


def _full_precision(like: Tensor) -> torch.autocast:
    """Return a context in which autocast leaves matrix products alone."""
    return torch.autocast(like.device.type, enabled=False)


def _cosines(first: Tensor, second: Tensor) -> Tensor:
    return _at_least_float32(first) @ _at_least_float32(second).T


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
