"""A corpus without some of its images: nothing of theirs is ever asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cookie.data.selection import Selection
from cookie.errors import DataError
from cookie.interfaces import Corpus


class WithoutImages(Selection):
    """A :class:`cookie.interfaces.Corpus` in which no caption belongs to one of ``images``.

    Image indices stay as they are, so it is for training, which goes by captions.

    Args:
        corpus: the whole.
        images: indices of those to leave out.

    Raises:
        DataError: no caption is left.
    """

    def __init__(self, corpus: Corpus, images: Sequence[int]) -> None:
        kept = np.flatnonzero(~np.isin(corpus.caption_image, images))
        if not len(kept):
            raise DataError("No training image can be read: get the images again.")
        super().__init__(corpus, np.arange(corpus.image_count), kept)
