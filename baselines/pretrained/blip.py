"""BLIP's image-text matching (Li et al., ICML 2022) as a ``PairScorer``.

An image goes through its encoder once; so does a caption through the first layer's
self-attention, which sees no image. Cross-attention is where the loop of a user spends its time,
projecting hundreds of image tokens to keys and values for every pair and layer. Here the key's
projection is moved to the query and the value's behind the sum, (q, W k) = (W' q, k), which is
exact and costs as much as the caption is long: there are a dozen words and 577 image tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.pretrained.bundle import Bundle, Normalize, processor_transform, tokenizer_texts
from baselines.pretrained.hub import from_hub, whole
from baselines.pretrained.transformers_clip import MEAN, STD
from cookie.interfaces import ImageBatch, ImageState, TextBatch, TextState

if TYPE_CHECKING:
    from transformers import BlipForImageTextRetrieval

CHECKPOINTS = (
    "Salesforce/blip-itm-base-coco",
    "Salesforce/blip-itm-base-flickr",
    "Salesforce/blip-itm-large-coco",
    "Salesforce/blip-itm-large-flickr",
)
MAX_TOKENS = 35
"""Longest caption in BLIP's fine-tuning for retrieval."""


class Blip(nn.Module):
    """A ``PairScorer``; the score is the logit of *match* less that of *no match*.

    Args:
        model: whose modules are used.
        mean, std: of the images that it was trained on.
    """

    def __init__(
        self,
        model: BlipForImageTextRetrieval,
        mean: tuple[float, ...] = MEAN,
        std: tuple[float, ...] = STD,
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        self.vision: Any = model.vision_model
        self.words: Any = model.text_encoder.embeddings
        self.layers: Any = model.text_encoder.encoder.layer
        self.match: Any = model.itm_head
        self.eval()

    def prepare_images(self, images: ImageBatch) -> ImageState:
        """Return (B, 1 + N, C): the image encoder's states."""
        return ImageState(self.vision(pixel_values=self.normalize(images)).last_hidden_state)

    def prepare_texts(self, texts: TextBatch) -> TextState:
        """Return (B, L, C): the caption after the first layer's self-attention."""
        hidden = self.words(input_ids=texts.ids)
        return TextState(_attend_words(self.layers[0].attention, hidden, texts.mask), texts.mask)

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Return (P,) float32: how much likelier a match is, as a logit."""
        hidden, last = texts.tokens, len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            if number > 0:
                wanted = 1 if number == last else None  # of the last layer only [CLS] is read
                hidden = _attend_words(layer.attention, hidden, texts.mask, wanted)
            elif number == last:
                hidden = hidden[:, :1]
            hidden = _attend_image(layer.crossattention, hidden, images.tokens)
            hidden = layer.output(layer.intermediate(hidden), hidden)
        logits = self.match(hidden[:, 0]).float()
        return logits[:, 1] - logits[:, 0]  # type: ignore[no-any-return]


def _attend_words(
    attention: Any,  # noqa: ANN401 -- untyped library
    hidden: Tensor,
    mask: Tensor,
    wanted: int | None = None,
) -> Tensor:
    """Return self-attention with its residual, (P, L, C), or its first ``wanted`` rows."""
    own, queries = attention.self, hidden[:, :wanted]
    heads = own.num_attention_heads
    query, key, value = (
        _split(linear(rows), heads)
        for linear, rows in ((own.query, queries), (own.key, hidden), (own.value, hidden))
    )
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
    result: Tensor = attention.output(mixed.transpose(1, 2).flatten(2), queries)
    return result


def _attend_image(attention: Any, hidden: Tensor, image: Tensor) -> Tensor:  # noqa: ANN401
    """Return cross-attention to ``image`` (P, N, E) with its residual, (P, L, C).

    A key's bias adds the same to all of a query's scores and so nothing; a value's bias is added
    once, because attention weights sum to 1.
    """
    own = attention.self
    heads, (count, length, _) = own.num_attention_heads, hidden.shape
    query = _split(own.query(hidden), heads)  # (P, H, L, h)
    key, value = (one.weight.view(heads, -1, image.shape[-1]) for one in (own.key, own.value))
    asked = torch.einsum("phlc,hce->phle", query, key.to(query.dtype))  # (P, H, L, E)
    states = image.to(asked.dtype)[:, None]
    seen = F.scaled_dot_product_attention(
        asked.reshape(count, 1, heads * length, -1), states, states, scale=query.shape[-1] ** -0.5
    ).view(count, heads, length, -1)
    mixed = torch.einsum("phle,hce->plhc", seen, value.to(seen.dtype)).flatten(2) + own.value.bias
    result: Tensor = attention.output(mixed, hidden)
    return result


def _split(states: Tensor, heads: int) -> Tensor:
    return states.view(*states.shape[:-1], heads, -1).transpose(1, 2)  # (P, H, L, C / H)


def build_blip(name: str) -> Bundle[Blip]:
    """Return BLIP with the weights, transform and tokenizer of a checkpoint.

    Args:
        name: on the hub, or a folder.

    Raises:
        UserError: there is no such checkpoint, or it cannot be reached.
    """
    return from_hub("BLIP checkpoint", name, CHECKPOINTS, _load)


def _load(name: str) -> Bundle[Blip]:
    from transformers import AutoImageProcessor, AutoTokenizer, BlipForImageTextRetrieval

    model = whole(BlipForImageTextRetrieval, name)
    processor = AutoImageProcessor.from_pretrained(name)  # type: ignore[no-untyped-call]
    return Bundle(
        Blip(model, tuple(processor.image_mean), tuple(processor.image_std)),
        processor_transform(processor),
        tokenizer_texts(AutoTokenizer.from_pretrained(name), MAX_TOKENS),
        model.config.vision_config.image_size,
        name,
    )


def random_blip(**settings: Any) -> Blip:  # noqa: ANN401
    """Return BLIP of the base size with random weights: good for its cost, not for accuracy.

    Args:
        settings: of ``BlipConfig``.
    """
    from transformers import BlipConfig, BlipForImageTextRetrieval

    return Blip(BlipForImageTextRetrieval(BlipConfig(**settings)))
