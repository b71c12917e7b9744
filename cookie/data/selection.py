"""Some captions and images of a corpus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cookie.interfaces import Corpus, ImageBatch, IndexArray, TextBatch, TextView


class Selection:
    """A part of a :class:`cookie.interfaces.Corpus`, itself one, its images numbered anew.

    Args:
        corpus: the whole.
        image_rows: (images,) rows of the chosen images in the whole.
        caption_rows: (captions,) rows of the chosen captions there, each of a chosen image.

    Attributes:
        caption_image: (captions,) the image index of each caption, among the chosen ones.
    """

    def __init__(self, corpus: Corpus, image_rows: IndexArray, caption_rows: IndexArray) -> None:
        self._corpus = corpus
        self.image_rows, self.caption_rows = image_rows, caption_rows
        self.image_count = len(image_rows)
        place: IndexArray = np.full(corpus.image_count, -1, dtype=np.int64)
        place[image_rows] = np.arange(len(image_rows))
        self.caption_image: IndexArray = place[corpus.caption_image[caption_rows]]
        self.captions: Sequence[str] = [corpus.captions[row] for row in caption_rows.tolist()]

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return the images at ``indices`` (B,) of the part."""
        return self._corpus.images(self.image_rows[indices], generator)

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return the captions at ``indices`` (B,) of :attr:`captions`."""
        return self._corpus.texts(self.caption_rows[indices], generator, view)
