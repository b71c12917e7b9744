"""The plain dual-stream: COOKIE's encoders, projections, pooling and embedding, and no more.

What COOKIE adds (the shared transformer and the two unimodal losses) is absent; everything else
is the same code with the same settings, so a difference between the two has few causes left.
With the triplet loss it is VSE++ (Faghri et al., BMVC 2018).
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from cookie.config import Config, TrainConfig
from cookie.errors import UserError
from cookie.interfaces import ImageBatch, LossOutput, Outside, TextBatch, TextView, TrainBatch
from cookie.nn.batches import by_length
from cookie.nn.losses import Temperature, hardest_triplet, info_nce, sum_triplet
from cookie.nn.parameters import parameter_groups
from cookie.nn.tower import image_tower, text_tower

DualStreamLoss = Literal["infonce", "triplet"]


class DualStream(nn.Module):
    """Two encoders and nothing between them; a ``DualEncoder`` and a ``ContrastiveSystem``.

    Args:
        config: encoders, head, regime, temperature and margin; loss weights are ignored.
        vocabulary_size: token ids that captions may hold.
        loss: ``infonce``, or ``triplet`` for the hinge on the negatives of a batch, on all or on
            the hardest (``loss.triplet_negatives``).

    Raises:
        UserError: the triplet loss is to look outside the batch.
    """

    image_views: int = 1
    text_view: TextView | None = None
    text_layers: int | None = None

    def __init__(
        self, config: Config, vocabulary_size: int, loss: DualStreamLoss = "infonce"
    ) -> None:
        super().__init__()
        if loss == "triplet" and config.loss.negatives != "in_batch":
            raise UserError(
                f"loss.negatives is {config.loss.negatives}, but the triplet loss takes its "
                "negatives from the batch: leave loss.negatives out."
            )
        self.image_tower = image_tower(config)
        self.text_tower = text_tower(config, vocabulary_size)
        self.loss, self.margin = loss, config.loss.triplet_margin
        self.hinges = {"hardest": hardest_triplet, "all": sum_triplet}[
            config.loss.triplet_negatives
        ]
        self.temperature = (
            Temperature(config.loss.temperature, config.loss.min_temperature)
            if loss == "infonce"
            else None
        )

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        return self.image_tower.embed(self.image_tower.read(images))

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        return self.text_tower.embed(self.text_tower.read(texts))

    def training_loss(self, batch: TrainBatch) -> LossOutput:
        """Return the image-text loss of one batch; second views are not looked at."""
        return self.contrast(self.embed(batch))

    def embed(self, batch: TrainBatch) -> tuple[Tensor, ...]:
        """Return (B, D) for the images and (B, D) for the captions."""
        return self.encode_images(batch.images), by_length(self.encode_texts, batch.texts)

    def contrast(
        self, embeddings: tuple[Tensor, ...], outside: Outside | None = None
    ) -> LossOutput:
        """Return the image-text loss of what :meth:`embed` returns."""
        images, texts = embeddings
        if self.temperature is None:
            loss = self.hinges(images, texts, self.margin)
        else:
            loss = info_nce(images, texts, self.temperature(), outside)
        return LossOutput(loss, {"image_text": loss.detach()})

    def parameter_groups(self, train: TrainConfig) -> list[dict[str, Any]]:
        """Return AdamW parameter groups; see :func:`cookie.nn.parameters.parameter_groups`."""
        encoders = (self.image_tower.encoder, self.text_tower.encoder)
        return parameter_groups(self, encoders, train)
