"""The control for COOKIE's unimodal losses: the same second views, spent on the image-text loss."""

from __future__ import annotations

from torch import Tensor

from cookie.interfaces import LossOutput, Outside
from cookie.model import Cookie, weighted_sum
from cookie.nn.losses import info_nce


class TwoViews(Cookie):
    """COOKIE that compares images with captions alone, in both of their views.

    The second views cost what they cost COOKIE (a forward and a backward pass each) and add the
    same augmentation; whatever COOKIE has ahead of this comes from comparing within a modality.
    """

    def contrast(
        self, embeddings: tuple[Tensor, ...], outside: Outside | None = None
    ) -> LossOutput:
        """Return the image-text loss, averaged over first and second views, (B, D) each.

        Both views are compared with the same ``outside``, which holds first views.
        """
        images, texts = embeddings[: self.image_views], embeddings[self.image_views :]
        scale = self.temperature()
        pairs = [info_nce(*pair, scale, outside) for pair in zip(images, texts, strict=True)]
        return weighted_sum({"image_text": sum(pairs[1:], pairs[0]) / len(pairs)}, self.loss)
