"""The pairs of the training benchmark are the same, whichever loop asks for them."""

from __future__ import annotations

import numpy as np

from bench.rivals.clip_pairs import Pairs, small_clip
from cookie.interfaces import Corpus


def test_pairs_are_a_corpus_and_a_loader_of_the_same() -> None:
    model = small_clip()
    pairs = Pairs(model, 8, "cpu")
    corpus: Corpus = pairs
    order = [np.array([3, 1]), np.array([0, 7])]
    for indices, (images, ids) in zip(order, pairs.batches(order), strict=True):
        assert images.equal(corpus.images(indices).data)
        assert ids.equal(corpus.texts(indices).ids)
    ends = pairs.ids.argmax(dim=1)
    lengths = pairs.mask.sum(dim=1)
    assert (ends == lengths - 1).all()
    assert 6 < float(lengths.float().mean()) < 32
    assert int(pairs.ids.max()) == model.vocab_size - 1
    assert pairs.ids.shape == (8, model.context_length)
