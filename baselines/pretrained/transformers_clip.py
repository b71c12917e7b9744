"""CLIP and SigLIP of ``transformers`` as a ``DualEncoder``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from baselines.pretrained.bundle import Bundle, Normalize, processor_transform, tokenizer_texts
from baselines.pretrained.hub import from_hub, whole
from cookie.errors import UserError
from cookie.interfaces import ImageBatch, TextBatch

CHECKPOINTS = (
    "openai/clip-vit-base-patch16",
    "openai/clip-vit-base-patch32",
    "openai/clip-vit-large-patch14",
    "google/siglip-base-patch16-224",
    "google/siglip-so400m-patch14-384",
    "google/siglip2-base-patch16-224",
)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the images that OpenAI's CLIP was trained on."""
KINDS = ("clip", "siglip")


class TransformersClip(nn.Module):
    """A ``DualEncoder``.

    Args:
        model: a ``CLIPModel`` or a ``SiglipModel``.
        mean, std: of the images that it was trained on.

    Raises:
        UserError: another kind of model.
    """

    def __init__(self, model: Any, mean: Sequence[float], std: Sequence[float]) -> None:  # noqa: ANN401
        super().__init__()
        kind = model.config.model_type
        if kind not in KINDS:
            raise UserError(f"A '{kind}' model is none of {', '.join(KINDS)}.")
        self.model, self.normalize = model, Normalize(mean, std)
        self.masked = kind == "clip"  # SigLIP reads its padding, as it was trained to
        self.eval()

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        return _normalized(self.model.get_image_features(pixel_values=self.normalize(images)))

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        mask = texts.mask.long() if self.masked else None
        return _normalized(self.model.get_text_features(input_ids=texts.ids, attention_mask=mask))


def _normalized(features: Any) -> Tensor:  # noqa: ANN401 -- a tensor, or an output that holds it
    pooled = features if isinstance(features, Tensor) else features.pooler_output
    return F.normalize(pooled.float(), dim=-1)


def build_transformers_clip(name: str) -> Bundle[TransformersClip]:
    """Return a model with its transform and tokenizer.

    Args:
        name: on the hub, or a folder.

    Raises:
        UserError: there is no such model, it cannot be reached, or it is of another kind.
    """
    return from_hub("CLIP or SigLIP model", name, CHECKPOINTS, _load)


def _load(name: str) -> Bundle[TransformersClip]:
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    processor = AutoImageProcessor.from_pretrained(name)  # type: ignore[no-untyped-call]
    made = TransformersClip(whole(AutoModel, name), processor.image_mean, processor.image_std)
    config = made.model.config
    texts = tokenizer_texts(
        AutoTokenizer.from_pretrained(name),
        config.text_config.max_position_embeddings,
        "longest" if made.masked else "max_length",
    )
    size = config.vision_config.image_size
    return Bundle(made, processor_transform(processor), texts, size, name)


def random_clip(**settings: Any) -> TransformersClip:  # noqa: ANN401
    """Return CLIP ViT-B/32 with random weights: good for its cost, not for accuracy.

    Args:
        settings: of ``CLIPConfig``.
    """
    from transformers import CLIPConfig, CLIPModel

    return TransformersClip(CLIPModel(CLIPConfig(**settings)), MEAN, STD)
