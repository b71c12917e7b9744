"""The control for contamination: a text encoder that has seen no caption before this training."""

from __future__ import annotations

from typing import TypeVar

from baselines.dual_stream import DualStream
from cookie.config import Config
from cookie.interfaces import ImageBatch, TextBatch
from cookie.model import Cookie
from cookie.nn.encoders import build_text_encoder
from cookie.nn.tower import Tokens, Tower

Model = TypeVar("Model", Cookie, DualStream)


class FreshTextTower(Tower):
    """A text path that learns from random weights whatever the regime.

    It reads token ids; states that a pretrained encoder left in a cached batch are not looked at.
    """

    def read(self, batch: ImageBatch | TextBatch) -> Tokens:
        """Return the batch's tokens (B, L, W) with positions and modality, and their mask."""
        if isinstance(batch, TextBatch):
            batch = TextBatch(batch.ids, batch.mask)
        return super().read(batch)


def with_fresh_text(model: Model, config: Config, vocabulary_size: int) -> Model:
    """Return ``model`` with the text encoder of ``config.text``, untrained and free to learn."""
    encoder = build_text_encoder(config.text, vocabulary_size)
    model.text_tower = FreshTextTower(encoder, config.text.max_tokens, config.head)
    return model
