"""Counting, tile by tile, how many negatives stand ahead of each query's best positive."""

from __future__ import annotations

import torch
from torch import Tensor

from cookie.training.distributed import Processes


class Tally:
    """Running counts of one direction: negatives above, level with, and level but earlier.

    A float32 product is only trusted where it is further than ``slack`` from the best positive's
    score; the others are handed back as close pairs, to be scored exactly.

    Attributes:
        best: (Q,) float32 score of the best positive; +inf where there is none.
        first: (Q,) int64 gallery row of it, the lowest among equals.
        slack: (Q,) rounding slack of a float32 product.
        above: (Q,) int64 negatives that score more.
        level: (Q,) negatives that score the same.
        earlier: (Q,) those of them with a lower gallery row than ``first``.
    """

    def __init__(self, best: Tensor, first: Tensor, slack: Tensor) -> None:
        self.best, self.first, self.slack = best, first, slack
        self._low, self._high = best - slack, best + slack
        self.above = torch.zeros_like(first)
        self.level = torch.zeros_like(first)
        self.earlier = torch.zeros_like(first)

    def fork(self) -> Tally:
        """Return an empty tally of the same queries, for another thread."""
        return Tally(self.best, self.first, self.slack)

    def merge(self, other: Tally) -> None:
        """Add the counts of another tally of the same queries."""
        self.above += other.above
        self.level += other.level
        self.earlier += other.earlier

    def share(self, processes: Processes) -> None:
        """Add up the counts of all processes' tallies of the same queries, in place."""
        for counts in (self.above, self.level, self.earlier):
            processes.total(counts)

    def certain(self, scores: Tensor, start: int, buffer: Tensor) -> tuple[Tensor, Tensor]:
        """Compare float32 products with the best positives, without counting them yet.

        Args:
            scores: (q, g) products of the queries from ``start``, -inf at positives.
            start: first query.
            buffer: float32 scratch of the same shape.

        Returns:
            (q,) int64 each: how many are certainly above, and how many are too close to tell.
        """
        rows = slice(start, start + len(scores))
        above = _count(torch.gt(scores, self._high[rows, None], out=buffer))
        return above, _count(torch.ge(scores, self._low[rows, None], out=buffer)) - above

    def close_pairs(self, scores: Tensor, start: int, close: Tensor) -> tuple[Tensor, Tensor]:
        """Return queries and columns (P,) each of the products too close to tell."""
        rows = close.nonzero().flatten()
        part = scores[rows]
        low, high = (bound[start + rows, None] for bound in (self._low, self._high))
        row, column = ((part >= low) & (part <= high)).nonzero(as_tuple=True)
        return start + rows[row], column

    def settle(self, queries: Tensor, scores: Tensor, rows: Tensor) -> None:
        """Count pairs (P,) of queries and gallery ``rows`` by their exact ``scores``."""
        level = scores == self.best[queries]
        earlier = level & (rows < self.first[queries])
        self.above.index_add_(0, queries, (scores > self.best[queries]).long())
        self.level.index_add_(0, queries, level.long())
        self.earlier.index_add_(0, queries, earlier.long())

    def add_exact(self, scores: Tensor, start: int, rows: Tensor) -> None:
        """Count a tile of exact ``scores`` (q, g) against gallery ``rows`` (g,)."""
        queries = slice(start, start + len(scores))
        best = self.best[queries, None]
        level = scores == best
        self.above[queries] += (scores > best).sum(dim=1)
        self.level[queries] += level.sum(dim=1)
        self.earlier[queries] += (level & (rows < self.first[queries, None])).sum(dim=1)


def _count(marks: Tensor) -> Tensor:
    """Return the ones in each row; sums of float32 ones are exact, and fast on every device."""
    return marks.sum(dim=1).long()
