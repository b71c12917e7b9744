"""COOKIE with its one claim taken back: the two paths no longer go through the same weights."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from cookie.config import Config
from cookie.interfaces import ImageBatch, TextBatch
from cookie.model import Cookie
from cookie.nn.tower import Tokens


class Unshared(Cookie):
    """COOKIE with a transformer for each path in place of the shared one.

    Both start from the same weights, those of the COOKIE of the same seed, so that only training
    can tell them apart: what is missing is the tie, not a lucky start.

    Args:
        config: as of COOKIE.
        vocabulary_size: token ids that captions may hold.
    """

    def __init__(self, config: Config, vocabulary_size: int) -> None:
        super().__init__(config, vocabulary_size)
        self.image_transformer = self.shared
        self.text_transformer = copy.deepcopy(self.shared)
        del self.shared

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        tokens, _ = self.image_tower.read(images)  # (B, N, W)
        return self.image_tower.embed(Tokens(self.image_transformer(tokens)))

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        tokens, mask = self.text_tower.read(texts)  # (B, L, W), (B, L)
        return self.text_tower.embed(Tokens(self.text_transformer(tokens, mask), mask))


class OwnNorms(Unshared):
    """COOKIE whose paths share every matrix and keep their LayerNorms to themselves."""

    def __init__(self, config: Config, vocabulary_size: int) -> None:
        super().__init__(config, vocabulary_size)
        pairs = zip(self.image_transformer.layers, self.text_transformer.layers, strict=True)
        for image_layer, text_layer in pairs:
            _tie(image_layer, text_layer)


def _tie(first: nn.Module, second: nn.Module) -> None:
    """Let ``second`` use the attention and the perceptron of ``first``: the same objects."""
    second.attention, second.mlp = first.attention, first.mlp
