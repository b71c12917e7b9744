"""A corpus cut short: the test images that a limit leaves, or a share of the training split."""

from __future__ import annotations

import numpy as np

from cookie.data.selection import Selection
from cookie.interfaces import Corpus


class FirstImages(Selection):
    """The first ``limit`` images of a corpus with their captions."""

    def __init__(self, corpus: Corpus, limit: int) -> None:
        count = min(limit, corpus.image_count)
        own = corpus.caption_image < count
        if not own[: own.sum()].all():
            raise ValueError("captions have to be in the order of their images")
        super().__init__(corpus, np.arange(count), np.flatnonzero(own))
