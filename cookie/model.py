"""COOKIE: two encoders, one weight-sharing transformer on both, three contrastive losses.

After Wen et al., "COOKIE: Contrastive Cross-Modal Knowledge Sharing Pre-Training for
Vision-Language Representation" (ICCV 2021). Only the abstract is public: it says that a
weight-sharing transformer stands on top of both encoders and names the three losses; everything
else here (projection, positions, pooling, widths, loss forms) is this project's choice.

    pixels -> visual encoder -> projection -+                      +- pooling -> image embedding
                                            +- shared transformer -+
    words  -> text encoder   -> projection -+                      +- pooling -> caption embedding

The two paths never meet: an image's embedding does not depend on any caption, so a gallery is
encoded once and searched with a matrix product.

Shapes: B rows of a batch, N grid tokens, K of them kept in training, L caption tokens, W width
of the shared transformer, D width of the embedding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cookie.config import Config, LossConfig, TrainConfig
from cookie.interfaces import ImageBatch, LossOutput, Outside, TextBatch, TextView, TrainBatch
from cookie.nn.batches import by_length, join_images, join_texts
from cookie.nn.losses import Temperature, info_nce, nt_xent
from cookie.nn.parameters import parameter_groups
from cookie.nn.shared_transformer import SharedTransformer
from cookie.nn.tower import Tokens, image_tower, text_tower


class Cookie(nn.Module):
    """The model of the paper; a ``DualEncoder`` and a ``ContrastiveSystem``.

    A unimodal loss of weight 0 is neither computed nor are its second views asked for.

    Args:
        config: encoders, head, losses, regime.
        vocabulary_size: token ids that captions may hold.
    """

    image_views: int
    text_view: TextView | None
    text_layers: int | None = None  # cached captions have been through the whole text encoder

    def __init__(self, config: Config, vocabulary_size: int) -> None:
        super().__init__()
        self.image_tower = image_tower(config)
        self.text_tower = text_tower(config, vocabulary_size)
        self.shared = SharedTransformer(config.head)  # the one module that both paths go through
        self.temperature = Temperature(config.loss.temperature, config.loss.min_temperature)
        self.loss = config.loss
        self.image_views = 2 if config.loss.image_image > 0 else 1
        self.text_view = config.augment.text if config.loss.text_text > 0 else None

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        tokens, _ = self.image_tower.read(images)  # (B, N, W); (B, K, W) in training
        shared = self.shared(tokens)  # (B, N, W)
        return self.image_tower.embed(Tokens(shared))  # (B, D)

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        tokens, mask = self.text_tower.read(texts)  # (B, L, W), (B, L)
        shared = self.shared(tokens, mask)  # (B, L, W)
        return self.text_tower.embed(Tokens(shared, mask))  # (B, D)

    def training_loss(self, batch: TrainBatch) -> LossOutput:
        """Return the weighted sum of the losses that are switched on, and each of them."""
        return self.contrast(self.embed(batch))

    def embed(self, batch: TrainBatch) -> tuple[Tensor, ...]:
        """Return (B, D) for each view of the images, then for each view of the captions.

        Both views of a modality go through its path as one batch.
        """
        second_images = batch.images_second if self.image_views == 2 else None
        second_texts = batch.texts_second if self.text_view is not None else None
        images = self.encode_images(join_images(batch.images, second_images))  # (B or 2B, D)
        texts = by_length(self.encode_texts, join_texts(batch.texts, second_texts))  # (B or 2B, D)
        return (*torch.split(images, len(batch)), *torch.split(texts, len(batch)))

    def contrast(
        self, embeddings: tuple[Tensor, ...], outside: Outside | None = None
    ) -> LossOutput:
        """Return the losses of one or two views, (B, D) each, of either modality.

        The image-text loss reads the first view of an image and the caption as written, and it
        alone looks ``outside`` the batch: queued second views would cost keys of their own.
        """
        images, texts = embeddings[: self.image_views], embeddings[self.image_views :]
        scale = self.temperature()
        two_views = {"info_nce": info_nce, "nt_xent": nt_xent}[self.loss.views]
        parts = {"image_text": info_nce(images[0], texts[0], scale, outside)}
        if self.image_views == 2:
            parts["image_image"] = two_views(images[0], images[1], scale)
        if self.text_view is not None:
            parts["text_text"] = two_views(texts[0], texts[1], scale)
        return weighted_sum(parts, self.loss)

    def parameter_groups(self, train: TrainConfig) -> list[dict[str, Any]]:
        """Return AdamW parameter groups; see :func:`cookie.nn.parameters.parameter_groups`."""
        encoders = (self.image_tower.encoder, self.text_tower.encoder)
        return parameter_groups(self, encoders, train)


def weighted_sum(parts: dict[str, Tensor], weights: LossConfig) -> LossOutput:
    """Return the sum of ``parts``, each times the weight of its name, and the parts detached."""
    total = torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum()
    return LossOutput(total, {name: part.detach() for name, part in parts.items()})
