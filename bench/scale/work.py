"""FLOPs and bytes of the architectures, counted by running them once on one item."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cookie.config import Config
from cookie.presets import preset

if TYPE_CHECKING:
    from torch import nn

    from cookie.interfaces import DualEncoder, ImageBatch, PairScorer, TextBatch

BACKWARD = 3
"""Forward and backward pass against the forward pass: two products for each one."""
HALF = 2  # bytes of a bfloat16 value


@dataclass(frozen=True, slots=True)
class Work:
    """What an architecture takes.

    Attributes:
        parameters: their number.
        image: FLOPs of an image by itself. caption: of a caption by itself.
        pair: FLOPs that are left for each pair; 0 where the two never meet.
        training: FLOPs of a training pair, losses left out.
        kept: bytes that are kept of an image: its embedding in float32, or its states in bfloat16.
    """

    parameters: int
    image: float
    caption: float
    pair: float
    training: float
    kept: int


def embedding_width() -> int:
    """Return D of the preset ``paper``."""
    return preset("paper").head.embedding


@functools.cache
def cookie_work(tokens: int) -> Work:
    """Return the work of COOKIE, preset ``paper``, for captions of ``tokens`` tokens.

    In training an image and a caption are encoded in two views each.
    """
    from bench.measure.cost import count_flops, parameter_count

    module = _empty("cookie_paper")
    encoder, (images, texts) = cast("DualEncoder", module), _item(tokens)
    image = float(count_flops(lambda: encoder.encode_images(images)))
    caption = float(count_flops(lambda: encoder.encode_texts(texts)))
    training = BACKWARD * 2 * (image + caption)
    return Work(parameter_count(module), image, caption, 0.0, training, 4 * embedding_width())


@functools.cache
def single_stream_work(tokens: int) -> Work:
    """Return the work of the single-stream of the same size; see :func:`pairs_trained`."""
    from bench.measure.cost import count_flops, parameter_count

    module = _empty("single_stream_paper")
    scorer, (images, texts) = cast("PairScorer", module), _item(tokens)
    states = scorer.prepare_images(images), scorer.prepare_texts(texts)
    image = float(count_flops(lambda: scorer.prepare_images(images)))
    caption = float(count_flops(lambda: scorer.prepare_texts(texts)))
    pair = float(count_flops(lambda: scorer.score_pairs(*states)))
    training = BACKWARD * (image + caption + pairs_trained(preset("paper")) * pair)
    kept = HALF * states[0].tokens.numel()
    return Work(parameter_count(module), image, caption, pair, training, kept)


def pairs_trained(config: Config) -> float:
    """Return how many pairs go through the joint layers for one training pair.

    A share of the positives with their negatives in both directions, and a share with masked
    words; the vocabulary's logits are left out.
    """
    joint = config.joint
    masked = joint.masked_share if joint.masked_words > 0 else 0.0
    return joint.matching_share * (1 + 2 * joint.negatives) + masked


def _empty(name: str) -> nn.Module:
    """Return an architecture whose weights are whatever the memory held; FLOPs do not mind."""
    import torch

    from bench.material.architectures import architectures

    with torch.device("meta"):
        module = architectures[name].build()
    return module.to_empty(device="cpu").eval().requires_grad_(requires_grad=False)


def _item(tokens: int) -> tuple[ImageBatch, TextBatch]:
    """Return one image and one caption."""
    import torch

    from cookie.interfaces import ImageBatch, TextBatch

    size = preset("paper").vision.image_size
    ids = torch.zeros(1, tokens, dtype=torch.int64)
    pixels = torch.zeros(1, 3, size, size, dtype=torch.uint8)
    return ImageBatch(pixels), TextBatch(ids, torch.ones_like(ids, dtype=torch.bool))
