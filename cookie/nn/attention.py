"""Self-attention and the feed-forward part of a transformer layer, in the shapes both kinds use."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence on itself, masked at padding (Vaswani et al., 2017).

    Args:
        width: C, channels of a token; a multiple of ``heads``.
        heads: H.
        dropout: of the attention weights, in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide {width} channels")
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self, hidden: Tensor, mask: Tensor | None = None, queries: Tensor | None = None
    ) -> Tensor:
        """Return (B, L, C), or (B, K, C) where ``queries`` are given.

        Args:
            hidden: (B, L, C), what is attended to.
            mask: (B, L) bool, True at real tokens; None where all are.
            queries: (B, K, C), rows of ``hidden`` whose results are wanted; None for all.
        """
        query, key, value = (self._split(x) for x in self._project(hidden, queries))  # (B, H, L, h)
        keys_only = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, L)
        by_products = self.training and _products_pay(query)
        attend = _attend_by_products if by_products else F.scaled_dot_product_attention
        dropout = self.dropout if self.training else 0.0
        mixed = attend(query, key, value, keys_only, dropout)  # (B, H, K, h)
        merged: Tensor = self.output(mixed.transpose(1, 2).flatten(2))  # (B, K, C)
        return merged

    def _project(self, hidden: Tensor, queries: Tensor | None) -> tuple[Tensor, ...]:
        if queries is None:
            return self.qkv(hidden).chunk(3, dim=-1)  # type: ignore[no-any-return]
        width = hidden.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        query = F.linear(queries, weight[:width], bias[:width])
        return query, *F.linear(hidden, weight[width:], bias[width:]).chunk(2, dim=-1)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)  # (B, H, L, C / H)


def _products_pay(query: Tensor) -> bool:
    """Whether two matrix products train faster than the fused kernel.

    On a CPU the fused kernel's backward pass gains nothing from hardware that multiplies bfloat16:
    with 30 to 64 tokens both passes together took four to six times as long. A layer's forward
    pass alone takes about the same time either way, so evaluation keeps the fused kernel. Training
    without gradients does not: gradient caching embeds twice and needs the same numbers.
    """
    return query.device.type == "cpu" and query.dtype == torch.bfloat16


def _attend_by_products(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> Tensor:
    """Return what :func:`torch.nn.functional.scaled_dot_product_attention` would."""
    scores = query @ (key * query.shape[-1] ** -0.5).transpose(-1, -2)  # (B, H, K, L)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = F.dropout(scores.softmax(dim=-1), dropout)
    return weights.to(value.dtype) @ value


class FeedForward(nn.Sequential):
    """Two linear maps with a GELU between them: (..., C) -> (..., C)."""

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__(nn.Linear(width, hidden_width), nn.GELU(), nn.Linear(hidden_width, width))
