"""The ranges of settings: what cannot be trained with is told in one sentence, before anything is.

Outside them a training fails late and oddly, never ends, or is none at all. What depends on a
model or on the data (a backbone's grid, the size of the training split) is said by those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from cookie.config import Config
from cookie.errors import UserError

LARGEST_SEED = 2**63 - 1

_FITS: Mapping[str, Callable[[float], bool]] = {
    "above 0": lambda value: 0 < value < math.inf,
    "0 or more": lambda value: 0 <= value < math.inf,
    "1 or more": lambda value: 1 <= value < math.inf,
    "2 or more": lambda value: 2 <= value < math.inf,
    "from 0 to 1": lambda value: 0 <= value <= 1,
    "0 or more, and less than 1": lambda value: 0 <= value < 1,
    "above 0, and at most 1": lambda value: 0 < value <= 1,
}
"""Whether a number is in a range, by the range's words; what is not a number is in none."""

_RANGES: Mapping[str, tuple[str, ...]] = {
    "above 0": (
        *("head.mlp_ratio", "loss.temperature", "loss.min_temperature"),
        "train.clip_norm",
    ),
    "0 or more": (
        "head.layers",
        *("loss.image_text", "loss.image_image", "loss.text_text"),
        *("joint.rate", "joint.hardness"),
        *("joint.matching", "joint.alignment", "joint.masked_words"),
        "augment.color",
        *("train.learning_rate", "train.encoder_rate", "train.weight_decay"),
        "train.broken_images",
    ),
    "1 or more": (
        *("vision.image_size", "vision.width", "vision.grid"),
        *("text.width", "text.layers", "text.heads", "text.mlp_width"),
        *("head.width", "head.heads", "head.embedding"),
        "loss.queue_size",
        *("joint.layers", "joint.grid", "joint.negatives"),
        "augment.views",
        *("train.steps", "train.batch_size", "train.evaluate_every"),
        *("train.validation_queries", "train.micro_batch"),
    ),
    "2 or more": ("text.max_tokens",),  # the first and the last are [CLS] and [SEP]
    "from 0 to 1": ("augment.flip", "augment.text_rate", "train.warmup"),
    "0 or more, and less than 1": (
        *("text.dropout", "head.dropout", "head.token_dropout", "head.channel_dropout"),
        "loss.momentum",
    ),
    "above 0, and at most 1": (
        "augment.crop_scale",
        *("joint.matching_share", "joint.masked_share"),
    ),
}


def check(config: Config) -> None:
    """Raise unless every setting is one that can be trained with.

    A learning rate of 0 is: it leaves a part, or all, as it was.

    Raises:
        UserError: one is not; names it, its value and its range.
    """
    for words, settings in _RANGES.items():
        for setting in settings:
            _check_range(config, setting, words)
    _check_heads("text", config.text.width, config.text.heads)
    if config.head.layers:
        _check_heads("head", config.head.width, config.head.heads)
    loss = config.loss
    if not loss.image_text + loss.image_image + loss.text_text:
        raise UserError("All three losses have the weight 0: give one, as loss.image_text, more.")


def check_seed(seed: int) -> None:
    """Raise :class:`UserError` unless every random generator takes ``seed``."""
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"The seed is {seed}: choose one from 0 to {LARGEST_SEED}.")


def _check_range(config: Config, setting: str, words: str) -> None:
    part, _, name = setting.partition(".")
    value: float | None = getattr(getattr(config, part), name)
    if value is not None and not _FITS[words](value):
        raise UserError(f"{setting} is {value}: choose {words}.")


def _check_heads(part: str, width: int, heads: int) -> None:
    if width % heads:
        raise UserError(
            f"{part}.heads is {heads}, which does not divide {part}.width, {width}: choose one "
            "that does."
        )
