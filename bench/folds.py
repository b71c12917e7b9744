"""Folds of a corpus: a part of its images with their captions, a gallery of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cookie.errors import UserError
from cookie.interfaces import Corpus, ImageBatch, IndexArray, TextBatch, TextView


class Fold:
    """The images ``start`` to ``start + size - 1`` of a corpus; itself a ``Corpus``.

    Attributes:
        image_rows: (images,) rows of its images in the whole corpus.
        caption_rows: (captions,) rows of its captions there.
    """

    def __init__(self, corpus: Corpus, start: int, size: int) -> None:
        self._corpus = corpus
        self.image_count = size
        self.image_rows: IndexArray = np.arange(start, start + size)
        own = np.isin(corpus.caption_image, self.image_rows)
        self.caption_rows: IndexArray = np.flatnonzero(own).astype(np.int64)
        self.caption_image: IndexArray = corpus.caption_image[own] - start
        self.captions: Sequence[str] = [corpus.captions[row] for row in self.caption_rows.tolist()]

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return the images at ``indices`` of the fold."""
        return self._corpus.images(self.image_rows[indices], generator)

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return the captions at ``indices`` of the fold."""
        return self._corpus.texts(self.caption_rows[indices], generator, view)


def folds_of(corpus: Corpus, count: int) -> list[Fold]:
    """Return ``count`` consecutive, equally large folds of the images.

    Raises:
        UserError: the images do not split equally.
    """
    size, rest = divmod(corpus.image_count, count)
    if rest:
        raise UserError(f"{corpus.image_count} images do not split into {count} equal folds.")
    return [Fold(corpus, start, size) for start in range(0, corpus.image_count, size)]
