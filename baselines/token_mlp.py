"""COOKIE without attention: shared weights that look at each token alone."""

from __future__ import annotations

from torch import Tensor, nn

from cookie.config import Config, HeadConfig
from cookie.model import Cookie
from cookie.nn.attention import FeedForward
from cookie.nn.shared_transformer import SharedTransformer


class PerceptronLayer(nn.Module):
    """The perceptron half of a pre-norm transformer layer; like the whole, at first the identity.

    Args:
        width: C, channels of a token.
        mlp_width: between its two linear maps.
        dropout: of the residual branch.
    """

    def __init__(self, width: int, mlp_width: int, dropout: float) -> None:
        super().__init__()
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = FeedForward(width, mlp_width)
        self.dropout = nn.Dropout(dropout)
        for parameter in self.mlp[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (B, L, C) for ``hidden`` (B, L, C); padding needs no ``mask`` here."""
        result: Tensor = hidden + self.dropout(self.mlp(self.mlp_norm(hidden)))
        return result


class TokenMLP(SharedTransformer):
    """The shared transformer with its attention left out."""

    def __init__(self, head: HeadConfig) -> None:
        super().__init__(head)
        mlp_width = round(head.width * head.mlp_ratio)
        self.layers = nn.ModuleList(
            PerceptronLayer(head.width, mlp_width, head.dropout) for _ in range(head.layers)
        )


class TokenStream(Cookie):
    """COOKIE with a shared :class:`TokenMLP` in place of the shared transformer."""

    def __init__(self, config: Config, vocabulary_size: int) -> None:
        super().__init__(config, vocabulary_size)
        self.shared = TokenMLP(config.head)
