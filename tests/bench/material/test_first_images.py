"""The first images of a corpus keep their captions, and those alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.material.first_images import FirstImages
from tests.bench.toy import ToyCorpus


def test_first_images_keep_their_captions() -> None:
    whole = ToyCorpus(images=7)  # 1, 2, 3, 1, 2, 3, 1 captions
    first = FirstImages(whole, 3)
    assert first.image_count == 3
    assert first.caption_image.tolist() == [0, 1, 1, 2, 2, 2]
    assert list(first.captions) == list(whole.captions[:6])
    rows = np.array([5, 0])
    assert torch.equal(first.texts(rows).ids, whole.texts(rows).ids)
    assert torch.equal(first.images(rows % 3).data, whole.images(rows % 3).data)


def test_a_limit_beyond_the_end_changes_nothing() -> None:
    whole = ToyCorpus(images=7)
    first = FirstImages(whole, 99)
    assert first.image_count == 7
    assert first.caption_image.tolist() == whole.caption_image.tolist()


def test_captions_out_of_order_are_refused() -> None:
    whole = ToyCorpus(images=7)
    whole.caption_image = whole.caption_image[::-1]
    with pytest.raises(ValueError, match="order of their images"):
        FirstImages(whole, 3)
