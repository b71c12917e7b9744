"""How alike images are by the words of their captions: a proxy where nobody judged images."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array


def caption_agreement(captions: Sequence[str], caption_image: ArrayLike) -> NDArray[np.float64]:
    """Return (N, N) cosines of the images' tf-idf vectors, all captions of an image as one text.

    A word's weight is its count times ln((1 + N) / (1 + n)) + 1, n being the images whose captions
    have it (Salton and Buckley 1988, smoothed as in scikit-learn).

    Args:
        captions: of all images.
        caption_image: (captions,) image of each; every image has one or more.
    """
    words = [re.findall(r"\w\w+", caption.lower()) for caption in captions]
    known = {word: column for column, word in enumerate(sorted(set().union(*words)))}
    rows = np.repeat(np.asarray(caption_image), [len(found) for found in words])
    columns = np.array([known[word] for found in words for word in found], np.int64)
    counts = coo_array((np.ones(len(rows)), (rows, columns))).tocsr()  # (N, words)
    images = counts.shape[0]
    having = np.asarray((counts > 0).sum(axis=0)).ravel()
    weighted = counts * (np.log((1 + images) / (1 + having)) + 1)
    lengths = np.sqrt(np.asarray((weighted**2).sum(axis=1)).ravel())
    cosines: NDArray[np.float64] = (weighted @ weighted.T).toarray() / np.outer(lengths, lengths)
    return cosines
