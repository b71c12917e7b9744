"""Joining two views into one batch, and taking batches apart."""

from __future__ import annotations

import pytest
import torch

from cookie.interfaces import ImageBatch, TextBatch, TrainBatch
from cookie.nn.batches import LENGTHS, batch_rows, by_length, join_images, join_texts, split_batch


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


class Summed:
    """Encodes a caption as the sum of its real tokens' ids, and notes how large its batches are."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, texts: TextBatch) -> torch.Tensor:
        """Return (B, C)."""
        self.shapes.append(tuple(texts.ids.shape))
        assert texts.tokens is not None
        return (texts.tokens * texts.mask[..., None]).sum(dim=1) + texts.ids.sum(dim=1)[:, None]


@pytest.mark.parametrize("count", [LENGTHS**2 - 1, LENGTHS**2, 101])
def test_captions_of_like_lengths_are_encoded_together_and_come_back_in_order(count: int):
    lengths = torch.randint(2, 30, (count,), generator=torch.Generator().manual_seed(5)).tolist()
    texts = captions(lengths, width=3)
    assert texts.tokens is not None
    texts.tokens.requires_grad_()
    whole, parts = Summed(), Summed()
    torch.testing.assert_close(by_length(parts, texts), whole(texts))
    few = count < LENGTHS**2
    assert len(parts.shapes) == (1 if few else LENGTHS)
    assert sum(rows for rows, _ in parts.shapes) == count
    padded = sum(rows * length for rows, length in parts.shapes)
    assert (padded == count * max(lengths)) == few
    weights = torch.rand(count, 3)
    gradients = [
        torch.autograd.grad((result * weights).sum(), texts.tokens)[0]
        for result in (by_length(parts, texts), whole(texts))
    ]
    assert torch.equal(*gradients)


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


def whole(*, second: bool, width: int | None = None) -> TrainBatch:
    pixels = ImageBatch(pixels=torch.rand(5, 3, 4, 4))
    tokens = ImageBatch(tokens=torch.rand(5, 4, 2))
    texts = captions([3, 1, 5, 2, 2], width)
    if not second:
        return TrainBatch(pixels, texts)
    second_texts = captions([2, 2, 2, 4, 1], width)
    return TrainBatch(tokens, texts, pixels, second_texts, torch.tensor([7, 3, 9, 0, 5]))


@pytest.mark.parametrize("rows", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("width", [None, 3])
def test_parts_in_order_are_the_whole(rows: int, second: bool, width: int | None):
    batch = whole(second=second, width=width)
    parts = split_batch(batch, rows)
    assert [len(part) for part in parts[:-1]] == [rows] * (len(parts) - 1)
    assert 0 < len(parts[-1]) <= rows
    for name in ("images", "images_second"):
        views = [getattr(part, name) for part in parts]
        expected = getattr(batch, name)
        if expected is None:
            assert views == [None] * len(parts)
        else:
            assert torch.equal(torch.cat([view.data for view in views]), expected.data)
            assert all((view.pixels is None) == (expected.pixels is None) for view in views)
    ids = [part.image_ids for part in parts if part.image_ids is not None]
    assert len(ids) == (len(parts) if second else 0)
    assert not ids or torch.cat(ids).tolist() == [7, 3, 9, 0, 5]
    for name in ("texts", "texts_second"):
        views, expected = [getattr(part, name) for part in parts], getattr(batch, name)
        for field in ("ids", "mask", "tokens"):
            if expected is None or getattr(expected, field) is None:
                assert all(view is None or getattr(view, field) is None for view in views)
            else:
                joined = torch.cat([getattr(view, field) for view in views])
                assert torch.equal(joined, getattr(expected, field))


def test_rows_of_a_batch_share_its_memory():
    batch = whole(second=True)
    part = batch_rows(batch, slice(2, 4))
    assert part.images.data.data_ptr() == batch.images.data[2:].data_ptr()
    assert part.texts.ids.tolist() == batch.texts.ids[2:4].tolist()
