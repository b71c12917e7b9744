"""Joining two views into one batch."""

from __future__ import annotations

import pytest
import torch

from cookie.interfaces import ImageBatch, TextBatch
from cookie.nn.batches import join_images, join_texts


def captions(lengths: list[int], width: int | None = None) -> TextBatch:
    longest = max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    ids = torch.randint(1, 9, (len(lengths), longest)) * mask
    tokens = None if width is None else torch.randn(len(lengths), longest, width)
    return TextBatch(ids, mask, tokens)


def test_images_are_stacked_as_what_they_are():
    first, second = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    pixels = join_images(ImageBatch(pixels=first), ImageBatch(pixels=second))
    assert pixels.pixels is not None
    assert torch.equal(pixels.pixels, torch.cat([first, second]))
    tokens = join_images(ImageBatch(tokens=first[0]), ImageBatch(tokens=second[0]))
    assert tokens.pixels is None
    assert torch.equal(tokens.data, torch.cat([first[0], second[0]]))


def test_without_a_second_view_the_first_is_handed_on():
    images, texts = ImageBatch(pixels=torch.rand(2, 3, 4, 4)), captions([2, 3])
    assert join_images(images, None) is images
    assert join_texts(texts, None) is texts


@pytest.mark.parametrize(("left", "right"), [([3, 5], [2, 4]), ([2, 2], [6, 1]), ([3], [3])])
def test_captions_are_padded_to_the_longer_view(left: list[int], right: list[int]):
    first, second = captions(left, width=4), captions(right, width=4)
    joined = join_texts(first, second)
    assert joined.mask.sum(dim=1).tolist() == left + right
    assert joined.tokens is not None
    for row, (view, index) in enumerate([(v, i) for v in (first, second) for i in range(len(v))]):
        length = view.ids.shape[1]
        assert torch.equal(joined.ids[row, :length], view.ids[index])
        assert not joined.ids[row, length:].any()
        assert view.tokens is not None
        assert torch.equal(joined.tokens[row, :length], view.tokens[index])
        assert not joined.tokens[row, length:].any()


def test_captions_without_tokens_stay_without():
    assert join_texts(captions([2]), captions([3])).tokens is None


def test_captions_of_which_one_view_alone_is_encoded_cannot_be_joined():
    with pytest.raises(ValueError, match="one view has tokens"):
        join_texts(captions([2], width=4), captions([3]))
