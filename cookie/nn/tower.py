"""What one modality has to itself: encoder, projection, positions, pooling, embedding head."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cookie.config import Config, HeadConfig
from cookie.interfaces import ImageBatch, TextBatch
from cookie.nn.encoders import (
    TextEncoder,
    VisualEncoder,
    build_text_encoder,
    build_visual_encoder,
    initialize,
)
from cookie.nn.parameters import freeze
from cookie.nn.pooling import build_pooling


class Tokens(NamedTuple):
    """Tokens on their way from encoder to embedding.

    Attributes:
        states: (B, L, W).
        mask: (B, L) bool, True at real tokens; None where all are.
    """

    states: Tensor
    mask: Tensor | None = None


class TokenProjection(nn.Module):
    """Encoder tokens (B, L, C) to tokens (B, L, W) of the common width, placed and named.

    Linear and LayerNorm, plus a learned vector for the modality and one for each position.
    In training, channels of the encoder's output and whole tokens are dropped first; a token
    that stays keeps its own position.

    Args:
        width: C of the encoder.
        positions: most tokens that can come.
        head: common width and drop rates.
        token_dropout: share of tokens dropped in training; the same number for every row, so
            that tensors stay dense. Not for sequences with padding.
    """

    def __init__(
        self, width: int, positions: int, head: HeadConfig, token_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.channel_dropout = head.channel_dropout
        self.token_dropout = token_dropout
        self.linear = nn.Linear(width, head.width)
        self.norm = nn.LayerNorm(head.width)
        self.modality = nn.Parameter(torch.empty(head.width))
        self.positions = nn.Parameter(torch.empty(positions, head.width))
        self.apply(initialize)
        nn.init.xavier_uniform_(self.linear.weight)  # inputs differ in width by a factor of ten
        for added in (self.modality, self.positions):
            nn.init.trunc_normal_(added, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, K, W) for ``tokens`` (B, L, C); K < L where tokens are dropped."""
        placed = self.positions[: tokens.shape[1]]  # (L, W)
        if self.training and self.token_dropout > 0:
            kept = self._choose(tokens)  # (B, K)
            rows = torch.arange(len(kept), device=kept.device)[:, None]
            tokens = tokens[rows, kept]  # whole rows: several times as fast as gather
            placed = placed[kept]  # (B, K, W)
        projected = self.norm(self.linear(self._thin(tokens)))
        result: Tensor = projected + placed + self.modality
        return result

    def _thin(self, tokens: Tensor) -> Tensor:
        """Drop whole channels: what a channel says of one token it says of its neighbors too.

        One draw for all tokens of a row also costs next to nothing; one for each element took
        more time on a CPU than the projection itself.
        """
        if not self.training or self.channel_dropout == 0:
            return tokens
        kept = F.dropout(tokens.new_ones(len(tokens), 1, tokens.shape[-1]), self.channel_dropout)
        return tokens * kept

    def _choose(self, tokens: Tensor) -> Tensor:
        rows, count = tokens.shape[:2]
        kept = max(1, count - round(count * self.token_dropout))
        return torch.rand(rows, count, device=tokens.device).argsort(dim=1)[:, :kept]


class EmbeddingHead(nn.Module):
    """Tokens to one vector on the unit sphere: pool, linear, normalize; all in float32."""

    def __init__(self, head: HeadConfig) -> None:
        super().__init__()
        self.pool = build_pooling(head.pooling)
        self.linear = nn.Linear(head.width, head.embedding)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        states = tokens.states.float()
        # bfloat16 embeddings tie with each other, and ties move Recall@1 by points.
        with torch.autocast(states.device.type, enabled=False):
            return F.normalize(self.linear(self.pool(states, tokens.mask)), dim=-1)


class Tower(nn.Module):
    """One modality's own path: :meth:`read` a batch into tokens, :meth:`embed` tokens.

    COOKIE puts its shared transformer between the two; the plain dual-stream nothing.

    Args:
        encoder: a visual or a text encoder; it has a ``width`` and takes a whole batch.
        positions: most tokens that the encoder gives.
        head: widths, pooling and drop rates.
        token_dropout: share of tokens dropped in training.
        frozen: the encoder does not learn, stays in evaluation mode and keeps no graph.
    """

    def __init__(
        self,
        encoder: VisualEncoder | TextEncoder,
        positions: int,
        head: HeadConfig,
        *,
        token_dropout: float = 0.0,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.frozen = encoder, frozen
        self.projection = TokenProjection(encoder.width, positions, head, token_dropout)
        self.embedding = EmbeddingHead(head)
        if frozen:
            freeze(encoder)

    def read(self, batch: ImageBatch | TextBatch) -> Tokens:
        """Return the batch's tokens (B, L, W) with positions and modality, and their mask."""
        if self.frozen:
            with torch.no_grad():
                encoded = self.encoder(batch)  # (B, L, C)
        else:
            encoded = self.encoder(batch)
        mask = batch.mask if isinstance(batch, TextBatch) else None
        return Tokens(self.projection(encoded), mask)

    def embed(self, tokens: Tokens) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        embedded: Tensor = self.embedding(tokens)
        return embedded

    def train(self, mode: bool = True) -> Tower:
        """Set the mode of everything but a frozen encoder."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self


def image_tower(config: Config) -> Tower:
    """Return the image path that ``config`` describes."""
    return Tower(
        build_visual_encoder(config.vision),
        config.vision.grid**2,
        config.head,
        token_dropout=config.head.token_dropout,
        frozen=config.regime == "frozen",
    )


def text_tower(config: Config, vocabulary_size: int) -> Tower:
    """Return the caption path that ``config`` describes."""
    encoder = build_text_encoder(config.text, vocabulary_size)
    frozen = config.regime == "frozen"
    return Tower(encoder, config.text.max_tokens, config.head, frozen=frozen)
