"""A corpus without some of its images: nothing of theirs is ever asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cookie.errors import DataError
from cookie.interfaces import Corpus, ImageBatch, IndexArray, TextBatch, TextView


class WithoutImages:
    """A :class:`cookie.interfaces.Corpus` in which no caption belongs to one of ``images``.

    Image indices stay as they are, so it is for training, which goes by captions.

    Args:
        corpus: the whole.
        images: indices of those to leave out.

    Raises:
        DataError: no caption is left.
    """

    def __init__(self, corpus: Corpus, images: Sequence[int]) -> None:
        self._corpus = corpus
        self._kept: IndexArray = np.flatnonzero(~np.isin(corpus.caption_image, images))
        if not len(self._kept):
            raise DataError("No training image can be read: get the images again.")
        self.caption_image: IndexArray = corpus.caption_image[self._kept]
        self.captions: Sequence[str] = [corpus.captions[index] for index in self._kept.tolist()]

    @property
    def image_count(self) -> int:
        """Number of images, those left out included."""
        return self._corpus.image_count

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return the images at ``indices`` (B,)."""
        return self._corpus.images(indices, generator)

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return the captions at ``indices`` (B,) of :attr:`captions`."""
        return self._corpus.texts(self._kept[indices], generator, view)
