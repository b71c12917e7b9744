"""Caption agreement against scikit-learn's tf-idf."""

from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from cookie.retrieval.caption_agreement import caption_agreement

CAPTIONS = [
    "A red cube, left of a ball.",
    "the red cube",
    "Two dogs run; two dogs play.",
    "a dog beside the ball",
    "nothing",
]
OWNERS = [0, 0, 1, 2, 3]


def test_it_is_scikit_learns_cosine():
    texts = [" ".join(c for c, o in zip(CAPTIONS, OWNERS, strict=True) if o == i) for i in range(4)]
    vectors = TfidfVectorizer().fit_transform(texts)
    expected = (vectors @ vectors.T).toarray()
    np.testing.assert_allclose(caption_agreement(CAPTIONS, OWNERS), expected, atol=1e-12)
