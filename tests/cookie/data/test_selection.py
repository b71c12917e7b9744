"""A part of a corpus gives the rows of the whole, numbered anew."""

from __future__ import annotations

import numpy as np
import torch

from cookie.data.selection import Selection
from cookie.interfaces import Corpus
from tests.cookie.training.toy import ToyCorpus


def test_images_and_captions_are_those_of_the_whole() -> None:
    whole: Corpus = ToyCorpus()
    images = np.array([4, 1])  # not in the order of the whole
    captions = np.flatnonzero(np.isin(whole.caption_image, images))
    part: Corpus = Selection(whole, images, captions)
    assert (part.image_count, len(part.captions)) == (2, len(captions))
    for index, row in enumerate(captions.tolist()):
        assert part.captions[index] == whole.captions[row]
        assert images[part.caption_image[index]] == whole.caption_image[row]
    assert torch.equal(part.images(np.array([1, 0])).data, whole.images(images[[1, 0]]).data)
    asked = np.arange(len(captions))[::-1].copy()
    assert torch.equal(part.texts(asked).ids, whole.texts(captions[asked]).ids)
