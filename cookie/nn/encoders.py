"""The two encoders: pixels to grid tokens, token ids to word tokens.

Both hand on tokens that a frozen encoder made earlier, so that what stands on them never asks
where tokens came from.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor, nn

from cookie.config import TextConfig, VisionConfig
from cookie.errors import UserError
from cookie.interfaces import ImageBatch, TextBatch
from cookie.nn.attention import FeedForward, SelfAttention
from cookie.nn.convnet import ConvNet
from cookie.nn.depthwise import fast_gradients
from cookie.nn.weights import (
    EFFICIENTNET_LITE0,
    check_bert,
    lite0_classifier,
    load_timm,
    map_bert,
    read_bert,
)


class VisualEncoder(nn.Module):
    """A backbone with its own normalization: images to grid tokens, row by row.

    Args:
        backbone: normalized pixels (B, 3, S, S) -> a feature map (B, C, G, G) or (B, G, G, C), or
            patch tokens (B, P + N, C) after P prefix tokens such as [CLS], which are dropped.
        config: says S, C = width and G = grid; N = G * G.
        mean: of red, green and blue, on a scale of 0 to 1.
        std: likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        config: VisionConfig,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        # Convolutions are about 1.5 times as fast with the channels innermost.
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.width, self.tokens, self.image_size = config.width, config.grid**2, config.image_size
        self.channels = int(getattr(backbone, "num_features", config.width))
        self.prefix = int(getattr(backbone, "num_prefix_tokens", 0))
        self.keeps_statistics = config.weights != "none"
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation; pretrained batch norms keep their statistics.

        The running means of ImageNet models follow so slowly (a hundredth of a batch a step) that
        fine-tuned weights would be evaluated with those of others. An image's tokens then depend
        on no other image either, as gradient caching asks; scale and shift still learn.
        """
        super().train(mode)
        if self.keeps_statistics:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(self, images: ImageBatch) -> Tensor:
        """Return (B, N, C); given tokens pass through, in float32."""
        if images.tokens is not None:
            return images.tokens.float()
        pixels = self.normalize(images.data)  # (B, 3, S, S)
        run = getattr(self.backbone, "forward_features", self.backbone)
        with fast_gradients(pixels):
            return self._as_tokens(run(pixels.contiguous(memory_format=torch.channels_last)))

    def normalize(self, pixels: Tensor) -> Tensor:
        """Return what the backbone wants for ``pixels``: uint8 in 0..255, or floats in 0..1."""
        if pixels.dtype == torch.uint8:
            pixels = pixels.float() / 255
        return (pixels - self.mean) / self.std

    def _as_tokens(self, features: Tensor) -> Tensor:
        if features.ndim == 3:  # (B, P + N, C) of a vision transformer
            return features[:, self.prefix :]
        if features.shape[1] == self.channels:  # (B, C, G, G)
            return features.flatten(2).transpose(1, 2)
        return features.flatten(1, 2)  # (B, G, G, C), as some transformers with windows give


def build_visual_encoder(config: VisionConfig) -> VisualEncoder:
    """Return the visual encoder that ``config`` describes, with its weights.

    Raises:
        UserError: unknown model, weights that are missing, or sizes that are not the model's.
    """
    if config.name == "convnet":
        encoder = VisualEncoder(_convnet(config), config, (0.5,) * 3, (0.25,) * 3)
    elif config.weights == EFFICIENTNET_LITE0:
        encoder = _lite0(config)
    else:
        backbone = load_timm(config.name, pretrained=config.weights == "timm")
        settings = getattr(backbone, "pretrained_cfg", {})
        encoder = VisualEncoder(backbone, config, settings["mean"], settings["std"])
    _check_tokens(encoder, config)
    return encoder


def _convnet(config: VisionConfig) -> ConvNet:
    stages = round(math.log2(config.image_size / config.grid))
    if config.weights != "none":
        raise UserError(f"There are no weights '{config.weights}' for 'convnet': use 'none'.")
    if config.grid << stages != config.image_size or stages < 1:
        raise UserError("A 'convnet' halves its image: make image_size a power of 2 times grid.")
    return ConvNet(config.width, stages)


def _lite0(config: VisionConfig) -> VisualEncoder:
    if config.name != "tf_efficientnet_lite0":
        raise UserError(
            f"The weights '{config.weights}' are of 'tf_efficientnet_lite0', not '{config.name}'."
        )
    backbone = lite0_classifier()
    backbone.reset_classifier(0)  # type: ignore[operator]
    return VisualEncoder(backbone, config, (127 / 255,) * 3, (128 / 255,) * 3)


def _check_tokens(encoder: VisualEncoder, config: VisionConfig) -> None:
    """Run one black image: better one sentence now than a shape error in the middle of training."""
    side = config.image_size
    encoder.eval()  # batch statistics of one black image must not stay
    with torch.no_grad():
        found = encoder(ImageBatch(pixels=torch.zeros(1, 3, side, side)))[0].shape
    encoder.train()
    if found != (encoder.tokens, encoder.width):
        raise UserError(
            f"The visual encoder '{config.name}' gives {found[0]} tokens of width {found[1]} for"
            f" {side} pixels, not {encoder.tokens} of {encoder.width}: set grid and width to it."
        )


class EncoderLayer(nn.Module):
    """A post-norm transformer layer, exactly BERT's (Devlin et al., 2019), so weights map."""

    def __init__(self, width: int, heads: int, mlp_width: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, dropout)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.mlp = FeedForward(width, mlp_width)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, hidden: Tensor, mask: Tensor | None = None, queries: Tensor | None = None
    ) -> Tensor:
        """Return (B, L, C), or (B, K, C) where ``queries`` are given.

        Args:
            hidden: (B, L, C).
            mask: (B, L) bool, True at real tokens; None where all are.
            queries: (B, K, C), the rows of ``hidden`` that are wanted, e.g. ``hidden[:, :1]``
                for a last layer of which only [CLS] is read; None for all.
        """
        attended = self.dropout(self.attention(hidden, mask, queries))
        hidden = self.attention_norm((hidden if queries is None else queries) + attended)
        result: Tensor = self.mlp_norm(hidden + self.dropout(self.mlp(hidden)))
        return result


class TextEncoder(nn.Module):
    """A compact BERT without pooler: token ids (B, L) -> word tokens (B, L, C).

    Attributes:
        width: C.
        layers: the transformer layers, in order.
    """

    def __init__(self, config: TextConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.width = config.width
        self.words = nn.Embedding(vocabulary_size, config.width)
        self.positions = nn.Parameter(torch.zeros(config.max_tokens, config.width))
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(config.width, config.heads, config.mlp_width, config.dropout)
            for _ in range(config.layers)
        )
        self.apply(initialize)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(
        self, texts: TextBatch, layers: int | None = None, start: int | None = None
    ) -> Tensor:
        """Return (B, L, C): the states after the first ``layers`` layers.

        Args:
            texts: captions; where they bring ``tokens``, only the missing layers run.
            layers: how many layers the result has been through; None for all.
            start: how many the given tokens have been through already; None for as many as are
                asked for, so that they pass through. Without tokens it means nothing.
        """
        stop = len(self.layers) if layers is None else layers
        if texts.tokens is None:
            hidden, start = self.embed(texts.ids), 0
        else:
            hidden, start = texts.tokens.float(), stop if start is None else start
        for layer in self.layers[start:stop]:
            hidden = layer(hidden, texts.mask)
        return hidden

    def embed(self, ids: Tensor) -> Tensor:
        """Return (B, L, C) for ``ids`` (B, L): words and positions, before the first layer."""
        embedded: Tensor = self.norm(self.words(ids) + self.positions[: ids.shape[1]])
        return self.dropout(embedded)  # type: ignore[no-any-return]


def initialize(module: nn.Module) -> None:
    """Start a module as BERT does: truncated normal weights of 0.02, zero biases.

    To be used with :meth:`torch.nn.Module.apply`.
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def build_text_encoder(config: TextConfig, vocabulary_size: int) -> TextEncoder:
    """Return the text encoder that ``config`` describes, with its weights.

    Raises:
        UserError: weights that are missing, or sizes or a vocabulary that are not the model's.
    """
    encoder = TextEncoder(config, vocabulary_size)
    if config.weights == "none":
        return encoder
    pretrained = read_bert(config.weights)
    check_bert(pretrained.settings, config)
    rows = pretrained.settings["vocab_size"]
    if rows != vocabulary_size:
        raise UserError(
            f"The text weights '{config.weights}' know {rows} tokens but the tokenizer"
            f" {vocabulary_size}: use the tokenizer that belongs to them."
        )
    encoder.load_state_dict(map_bert(pretrained.state, config.max_tokens))
    return encoder
