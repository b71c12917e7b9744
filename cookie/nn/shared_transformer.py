"""The transformer that stands on both encoders: one module, one set of weights, two paths."""

from __future__ import annotations

from torch import Tensor, nn

from cookie.config import HeadConfig
from cookie.nn.attention import FeedForward, SelfAttention


class PreNormLayer(nn.Module):
    """A pre-norm transformer layer that starts as the identity.

    The last linear map of either residual branch is zero at first, so that a fresh layer hands
    its input on unchanged and training decides how much of it to use. Dropout is on the residual
    branches; on attention weights it would keep a CPU from the fused kernel.
    """

    def __init__(self, width: int, heads: int, mlp_width: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, dropout=0.0)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = FeedForward(width, mlp_width)
        self.dropout = nn.Dropout(dropout)
        for last in (self.attention.output, self.mlp[-1]):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (B, L, C) for ``hidden`` (B, L, C) and key ``mask`` (B, L) bool."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), mask))
        result: Tensor = hidden + self.dropout(self.mlp(self.mlp_norm(hidden)))
        return result


class SharedTransformer(nn.Module):
    """COOKIE's weight-sharing transformer.

    It never sees image and caption together: each path runs through it alone, which keeps the
    cost of a dual-stream; being the same weights is all that ties the two paths.
    """

    def __init__(self, head: HeadConfig) -> None:
        super().__init__()
        mlp_width = round(head.width * head.mlp_ratio)
        self.layers = nn.ModuleList(
            PreNormLayer(head.width, head.heads, mlp_width, head.dropout)
            for _ in range(head.layers)
        )
        self.norm = nn.LayerNorm(head.width)  # a pre-norm stack leaves its sum unnormalized

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (B, L, W) for the tokens (B, L, W) of either modality.

        Args:
            tokens: projected tokens with their positions.
            mask: (B, L) bool, True at real tokens; None where there is no padding.
        """
        for layer in self.layers:
            tokens = layer(tokens, mask)
        normed: Tensor = self.norm(tokens)
        return normed
