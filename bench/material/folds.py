"""Folds of a corpus: a part of its images with their captions, a gallery of its own."""

from __future__ import annotations

import numpy as np

from cookie.data.selection import Selection
from cookie.errors import UserError
from cookie.interfaces import Corpus


class Fold(Selection):
    """The images ``start`` to ``start + size - 1`` of a corpus."""

    def __init__(self, corpus: Corpus, start: int, size: int) -> None:
        rows = np.arange(start, start + size)
        super().__init__(corpus, rows, np.flatnonzero(np.isin(corpus.caption_image, rows)))


def folds_of(corpus: Corpus, count: int) -> list[Fold]:
    """Return ``count`` consecutive, equally large folds of the images.

    Raises:
        UserError: the images do not split equally.
    """
    size, rest = divmod(corpus.image_count, count)
    if rest:
        raise UserError(f"{corpus.image_count} images do not split into {count} equal folds.")
    return [Fold(corpus, start, size) for start in range(0, corpus.image_count, size)]
