"""Folds hold every image and caption once, and give what the whole corpus gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.material.folds import folds_of
from cookie.errors import UserError
from cookie.interfaces import Corpus
from tests.bench.toy import ToyCorpus


def shuffled() -> ToyCorpus:
    """Return a corpus whose captions are not in the order of their images."""
    corpus = ToyCorpus(9)
    corpus.caption_image = np.random.default_rng(1).permutation(corpus.caption_image)
    return corpus


@pytest.mark.parametrize("corpus", [ToyCorpus(9), shuffled()])
@pytest.mark.parametrize("count", [1, 3, 9])
def test_every_row_is_in_one_fold(corpus: Corpus, count: int) -> None:
    folds = folds_of(corpus, count)
    assert [fold.image_count for fold in folds] == [9 // count] * count
    images = np.concatenate([fold.image_rows for fold in folds])
    assert images.tolist() == list(range(9))
    captions = np.concatenate([fold.caption_rows for fold in folds])
    assert sorted(captions) == list(range(len(corpus.captions)))


@pytest.mark.parametrize("corpus", [ToyCorpus(9), shuffled()])
def test_a_fold_is_the_corpus_s_own_rows(corpus: Corpus) -> None:
    fold = folds_of(corpus, 3)[1]
    assert fold.image_rows.tolist() == [3, 4, 5]
    for row, (whole, owner) in enumerate(zip(fold.caption_rows, fold.caption_image, strict=True)):
        assert fold.captions[row] == corpus.captions[whole]
        assert owner + 3 == corpus.caption_image[whole]
    asked = np.array([2, 0])
    assert torch.equal(fold.images(asked).pixels, corpus.images(asked + 3).pixels)
    assert torch.equal(fold.texts(asked).ids, corpus.texts(fold.caption_rows[asked]).ids)


def test_unequal_folds_are_refused() -> None:
    with pytest.raises(UserError, match="9 images do not split into 2 equal folds"):
        folds_of(ToyCorpus(9), 2)
