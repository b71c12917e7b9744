"""Pairs that are scored at once, and in smaller parts where the memory does not suffice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from cookie.shortage import is_shortage, tell_halved


class Block(NamedTuple):
    """Pairs that are scored at once: rows of the prepared states, and the longest caption."""

    image_rows: Tensor
    caption_rows: Tensor
    length: int


class Halving:
    """Scores blocks; after one that does not fit the memory, in parts of half its pairs.

    Args:
        score: returns (P,) scores of a block.
        mask: (captions, L) of the prepared texts.
    """

    def __init__(self, score: Callable[[Block], Tensor], mask: Tensor) -> None:
        self.score, self.mask = score, mask
        self.most = sys.maxsize

    def __call__(self, block: Block) -> Tensor:
        """Return (P,) the scores of a block."""
        parts, done = list[Tensor](), 0
        while done < len(block.caption_rows):
            part = _cut(block, done, self.most, self.mask)
            try:
                parts.append(self.score(part))
                done += len(parts[-1])
            except (RuntimeError, MemoryError) as error:
                if len(part.caption_rows) == 1 or not is_shortage(error):
                    raise
                self.most = tell_halved(len(part.caption_rows), "pairs")
        return torch.cat(parts)


def _cut(block: Block, start: int, most: int, mask: Tensor) -> Block:
    """Return at most ``most`` pairs of a block from ``start`` on, cut to their longest caption."""
    if start == 0 and len(block.caption_rows) <= most:
        return block
    rows = slice(start, start + most)
    captions = block.caption_rows[rows]
    return Block(block.image_rows[rows], captions, int(mask[captions].sum(dim=1).max()))
