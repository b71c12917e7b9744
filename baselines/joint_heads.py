"""What stands before and behind the single-stream's joint layers."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cookie.config import Config
from cookie.errors import UserError
from cookie.nn.encoders import initialize
from cookie.nn.losses import Temperature
from cookie.nn.tower import TokenProjection


class ImageEntry(nn.Module):
    """Grid tokens (B, N, C) to the image part of a joint sequence (B, 1 + K, W).

    The grid is pooled to ``joint.grid`` a side and projected to the text width W; in training
    ``head.channel_dropout`` and ``head.token_dropout`` thin it out. Row 0 is a summary token, the
    mean of the others, as ViLBERT's IMG token is (Lu et al., NeurIPS 2019).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.side, self.pooled = config.vision.grid, config.joint.grid
        if not 1 <= self.pooled <= self.side:
            raise UserError(
                f"joint.grid is {self.pooled}, but the encoder gives {self.side} tokens a side:"
                f" choose 1 to {self.side}."
            )
        head = replace(config.head, width=config.text.width)
        self.projection = TokenProjection(
            config.vision.width, self.pooled**2, head, config.head.token_dropout
        )
        self.summary = nn.Parameter(torch.empty(config.text.width))
        nn.init.trunc_normal_(self.summary, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, 1 + K, W); K = joint.grid ** 2, fewer where tokens are dropped."""
        projected = self.projection(self._pool(tokens))  # (B, K, W)
        summary = projected.mean(dim=1, keepdim=True) + self.summary
        return torch.cat([summary, projected], dim=1)

    def _pool(self, tokens: Tensor) -> Tensor:
        if self.pooled == self.side:
            return tokens
        grid = tokens.transpose(1, 2).reshape(len(tokens), -1, self.side, self.side)  # (B, C, G, G)
        return F.adaptive_avg_pool2d(grid, self.pooled).flatten(2).transpose(1, 2)


class ProductHead(nn.Module):
    """A pair's score from the joint states of [CLS] and of the image's summary token.

    Each is projected, and their cosine is scaled by a learned temperature. A product of the two
    (ViLBERT multiplies them element by element) finds out what they have in common at once,
    where a perceptron on [CLS] first has to learn to compare: it trains in far fewer steps.
    """

    def __init__(self, width: int, embedding: int, temperature: Temperature) -> None:
        super().__init__()
        self.text, self.image = nn.Linear(width, embedding), nn.Linear(width, embedding)
        self.temperature = temperature
        self.apply(initialize)

    def forward(self, states: Tensor) -> Tensor:
        """Return (P,) float32 for ``states`` (P, 2, W): [CLS], then the summary token."""
        with torch.autocast(states.device.type, enabled=False):
            text, image = states.float().unbind(dim=1)
            cosines = F.cosine_similarity(self.text(text), self.image(image), dim=-1)
            result: Tensor = cosines * self.temperature()
            return result


class PerceptronHead(nn.Module):
    """A pair's score from the joint state of [CLS] alone, as UNITER reads it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, 1, bias=False)
        )
        self.apply(initialize)

    def forward(self, states: Tensor) -> Tensor:
        """Return (P,) float32 for ``states`` (P, 2, W), of which the second is not looked at."""
        with torch.autocast(states.device.type, enabled=False):
            result: Tensor = self.layers(states[:, 0].float()).squeeze(-1)
            return result


class Alignment(nn.Module):
    """The unimodal states in one space: what finds the hard negatives (ALBEF, NeurIPS 2021)."""

    def __init__(self, width: int, embedding: int, temperature: Temperature) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(width, embedding), nn.Linear(width, embedding)
        self.temperature = temperature
        self.apply(initialize)

    def forward(self, images: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return (P,) float32: the scaled cosine of each pair of states."""
        cosines = (self.images(images) * self.texts(tokens, mask)).sum(dim=-1)
        return cosines * self.temperature()  # type: ignore[no-any-return]

    def images(self, tokens: Tensor) -> Tensor:
        """Return (B, D) float32, L2-normalized, of image states (B, 1 + K, W)."""
        with torch.autocast(tokens.device.type, enabled=False):
            return F.normalize(self.image(tokens[:, 0].float()), dim=-1)

    def texts(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return (B, D) float32, L2-normalized, of caption states (B, L, W)."""
        weights = mask.float() / mask.sum(dim=1, keepdim=True)  # (B, L)
        with torch.autocast(tokens.device.type, enabled=False):
            pooled = torch.einsum("bl,blw->bw", weights, tokens.float())
            return F.normalize(self.text(pooled), dim=-1)


class WordHead(nn.Module):
    """Logits over the vocabulary, tied to the word embedding (Devlin et al., 2019)."""

    def __init__(self, width: int, vocabulary_size: int) -> None:
        super().__init__()
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.transform.apply(initialize)

    def forward(self, states: Tensor, words: Tensor) -> Tensor:
        """Return (..., V) for ``states`` (..., W) and the embedding ``words`` (V, W)."""
        return F.linear(self.transform(states), words, self.bias)
