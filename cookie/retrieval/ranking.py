"""Ranks of positives within a block of scores; the tie rules live here.

Equal scores are ordered by gallery index, lowest first; that is the order of a stable
descending sort, and of :func:`cookie.retrieval.topk`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cookie.retrieval.matrices import reject_scores

_CHUNK = 64


class BlockRanks(NamedTuple):
    """Ranks of B queries: (B,) int64 tensors, and (B,) float64 precisions."""

    ranks: Tensor
    optimistic: Tensor
    pessimistic: Tensor
    average_precision: Tensor
    r_precision: Tensor

    @staticmethod
    def empty() -> BlockRanks:
        """Return the ranks of no queries."""
        none, no_precision = torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.float64)
        return BlockRanks(none, none, none, no_precision, no_precision)


def best_of_rows(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the best ``k`` of each row (B, C) and their columns.

    Long rows go in two steps: the best ``k`` are all within the ``k`` chunks of largest maximum,
    and a maximum is found many times faster than a selection.
    """
    count, size = scores.shape
    chunks, rest = divmod(size, _CHUNK)
    if chunks < 4 * k:
        values, columns = scores.topk(min(k, size), dim=1)
        return values, columns
    grid = scores[:, : size - rest].view(count, _CHUNK, chunks)  # chunk c: c, c + chunks, ...
    chosen = grid.amax(dim=1).topk(k, dim=1).indices  # (B, k)
    kept = grid.gather(2, chosen[:, None, :].expand(-1, _CHUNK, -1)).flatten(1)  # (B, 64 k)
    values, place = torch.cat([kept, scores[:, size - rest :]], dim=1).topk(k, dim=1)
    columns = place // k * chunks + chosen.gather(1, place % k)
    return values, columns.where(place < _CHUNK * k, place + (size - rest - _CHUNK * k))


def stable_topk(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the ``k`` best of each row (B, k) and their columns, lowest column first on ties.

    ``torch.topk`` leaves the order of equal scores open. Its values are right whatever the
    order; only where the k-th value occurs more often than there is room are the columns redone.
    """
    k = min(k, scores.shape[1])
    if k == 0:
        return scores[:, :0], torch.zeros_like(scores[:, :0], dtype=torch.int64)
    wide = min(k + 1, scores.shape[1])
    values, columns = scores.topk(wide, dim=1)
    if wide > k:
        crowded = torch.nonzero(values[:, k - 1] == values[:, k]).flatten()
        values, columns = values[:, :k].contiguous(), columns[:, :k].contiguous()
        if len(crowded):
            columns[crowded] = _lowest_columns(scores[crowded], values[crowded])
    return values, order_equals(values, columns)


def _lowest_columns(scores: Tensor, values: Tensor) -> Tensor:
    """Return columns (B, k) of the sorted ``values``, the lowest ones for the last value."""
    last = values[:, -1:]
    size = scores.shape[1]
    column = torch.arange(size, device=scores.device)
    # Everything above the last value comes first, then its equals by column, then the rest.
    key = torch.where(scores > last, column - size, torch.where(scores == last, column, 2 * size))
    chosen = key.topk(values.shape[1], dim=1, largest=False).indices
    by_score = scores.gather(1, chosen).argsort(dim=1, descending=True, stable=True)
    return chosen.gather(1, by_score)


def order_equals(values: Tensor, columns: Tensor) -> Tensor:
    """Sort ``columns`` ascending within runs of equal, already descending ``values``."""
    by_column = columns.argsort(dim=1)
    by_value = values.gather(1, by_column).argsort(dim=1, descending=True, stable=True)
    return columns.gather(1, by_column.gather(1, by_value))


def rank_block(scores: Tensor, positives: Tensor) -> BlockRanks:
    """Rank the best positive of each row and measure precision at R.

    Args:
        scores: (B, G) finite, or -inf where a pair was not scored.
        positives: (B, P) int64 columns, -1 for padding; at least one a row.

    Raises:
        EmbeddingError: a score is NaN or +inf.
    """
    reject_scores(scores)
    own = scores.gather(1, positives.clamp(min=0))
    own = own.masked_fill(positives < 0, -torch.inf)
    best = own.amax(dim=1, keepdim=True)  # (B, 1)
    equal = scores == best
    above = (scores > best).sum(dim=1)
    size = scores.shape[1]
    own_equal = (own == best) & (positives >= 0)
    first = torch.where(own_equal, positives, size).amin(dim=1, keepdim=True)
    before = (equal & (torch.arange(size, device=scores.device) < first)).sum(dim=1)
    ties = equal.sum(dim=1) - own_equal.sum(dim=1)
    found = torch.isfinite(best.squeeze(1))
    ranks, optimistic, pessimistic = (
        torch.where(found, rank, size) for rank in (above + before, above, above + ties)
    )
    return BlockRanks(ranks, optimistic, pessimistic, *precision_at_r(scores, positives))


def precision_at_r(scores: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """Return average precision at R and R-Precision, (B,) float64 in 0..1 each."""
    values, columns = stable_topk(scores, positives.shape[1])
    return precision_of_lists(columns.masked_fill(values == -torch.inf, -2), positives)


def precision_of_lists(ranked: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """Return average precision at R and R-Precision of ranked gallery rows.

    Args:
        ranked: (B, P') int64 gallery rows, best first; -2 where the list has ended.
        positives: (B, P) int64, -1 for padding.
    """
    count = (positives >= 0).sum(dim=1, keepdim=True)  # R
    relevant = (ranked[:, :, None] == positives[:, None, :]).any(dim=2)
    place = torch.arange(1, ranked.shape[1] + 1, device=ranked.device)
    relevant = (relevant & (place <= count)).double()
    precision = relevant.cumsum(dim=1) / place * relevant
    share = count.squeeze(1).double()
    return precision.sum(dim=1) / share, relevant.sum(dim=1) / share
