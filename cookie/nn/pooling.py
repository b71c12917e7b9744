"""From tokens to one vector: masked mean, max, and a learned weighting of the sorted values."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from cookie.config import Pooling
from cookie.registry import Registry


class Pool(Protocol):
    """Tokens (B, L, C) and their mask (B, L) bool, or None, to (B, C)."""

    def __call__(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the pooled tokens; padding never shows in them."""
        ...


class MeanPool(nn.Module):
    """The mean of the real tokens."""

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (B, C) for ``tokens`` (B, L, C) and ``mask`` (B, L)."""
        if mask is None:
            return tokens.mean(dim=1)
        weights = mask.to(tokens.dtype) / mask.sum(dim=1, keepdim=True)  # (B, L)
        return torch.bmm(weights[:, None], tokens).squeeze(1)


class MaxPool(nn.Module):
    """The largest value of each channel over the real tokens."""

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (B, C) for ``tokens`` (B, L, C) and ``mask`` (B, L)."""
        if mask is not None:
            tokens = tokens.masked_fill(~mask[..., None], -math.inf)
        return tokens.amax(dim=1)


class GeneralizedPool(nn.Module):
    """Generalized pooling operator (Chen et al., "Learning the Best Pooling Strategy", CVPR 2021).

    Each channel's values are sorted and summed with one weight per rank; the weights come from
    the rank and the number of tokens alone, so mean (all equal) and max (all on the first rank)
    are two of its settings. The paper generates them with a recurrent net over positional
    encodings; here a perceptron over the encodings of rank and length does, which has no loop
    over the tokens and starts out as the mean.

    Args:
        encoding_width: channels of either positional encoding; even.
        hidden_width: of the perceptron.
    """

    frequencies: Tensor

    def __init__(self, encoding_width: int = 32, hidden_width: int = 32) -> None:
        super().__init__()
        exponents = torch.arange(0, encoding_width, 2) / encoding_width
        self.register_buffer("frequencies", 10_000.0**-exponents, persistent=False)
        self.score = nn.Sequential(
            nn.Linear(2 * encoding_width, hidden_width), nn.GELU(), nn.Linear(hidden_width, 1)
        )
        for parameter in self.score[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (B, C) for ``tokens`` (B, L, C) and ``mask`` (B, L)."""
        if mask is None:  # then every row has the same weights: one row of them is enough
            mask = tokens.new_ones((1, tokens.shape[1]), dtype=torch.bool)
            ranked = tokens.sort(dim=1, descending=True).values
        else:
            lowest = tokens.masked_fill(~mask[..., None], -math.inf)
            ranked = lowest.sort(dim=1, descending=True).values
            ranked = ranked.masked_fill(ranked == -math.inf, 0.0)  # 0 * inf would be NaN
        weights = self.weights(mask.sum(dim=1), tokens.shape[1]).to(tokens.dtype)  # (B or 1, L)
        return (weights[..., None] * ranked).sum(dim=1)

    def weights(self, lengths: Tensor, ranks: int) -> Tensor:
        """Return (B, ranks): the weight of each rank for sequences of ``lengths`` (B,) tokens.

        A row sums to one and is zero beyond its length.
        """
        rank = torch.arange(ranks, device=lengths.device)
        pair = (len(lengths), ranks)
        by_rank = self._encode(rank)[None].expand(*pair, -1)
        by_length = self._encode(lengths)[:, None].expand(*pair, -1)
        scores = self.score(torch.cat([by_rank, by_length], dim=-1)).squeeze(-1)  # (B, ranks)
        beyond = rank >= lengths[:, None]
        weights: Tensor = scores.float().masked_fill(beyond, -math.inf).softmax(dim=-1)
        return weights

    def _encode(self, positions: Tensor) -> Tensor:
        angles = positions[:, None].to(self.frequencies.dtype) * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=-1)  # (P, encoding_width)


poolings: Registry[type[nn.Module]] = Registry("pooling")
poolings.register("mean")(MeanPool)
poolings.register("max")(MaxPool)
poolings.register("gpo")(GeneralizedPool)


def build_pooling(name: Pooling) -> nn.Module:
    """Return the pooling called ``name``; an unknown one raises ``UserError``."""
    return poolings[name]()
