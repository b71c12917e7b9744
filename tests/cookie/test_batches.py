"""Batches of images in parts that suit the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cookie.batches import ImageBatch, images_at_once, in_parts
from cookie.encoding import encode_images
from tests.bench.toy import ToyCorpus, ToyEncoder


@pytest.mark.parametrize(("side", "expected"), [(64, 128), (224, 10), (225, 10), (10_000, 1)])
def test_large_photographs_are_encoded_few_at_a_time(side: int, expected: int):
    assert images_at_once(ImageBatch(torch.empty(1, 3, 1, 1).expand(1, 3, side, side))) == expected


def test_tokens_and_other_devices_take_any_number():
    assert images_at_once(ImageBatch(tokens=torch.empty(2, 49, 8))) is None
    assert images_at_once(ImageBatch(torch.empty(2, 3, 224, 224, device="meta"))) is None


@pytest.mark.parametrize("size", [1, 3, 7, 8, None])
@pytest.mark.parametrize("kind", ["pixels", "tokens"])
def test_parts_are_the_batch_again(kind: str, size: int | None):
    data = torch.arange(42).view(7, 3, 2, 1)
    parts = list(in_parts(ImageBatch(**{kind: data}), size))
    assert torch.equal(torch.cat([part.data for part in parts]), data)
    assert all((part.pixels is not None) == (kind == "pixels") for part in parts)
    assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1)
    assert len(parts[-1]) <= (size or 7)


def test_a_corpus_is_encoded_in_parts_to_the_same_embeddings(monkeypatch: pytest.MonkeyPatch):
    corpus, encoder, met = ToyCorpus(images=20), ToyEncoder(), list[int]()
    whole = encoder.encode_images(corpus.images(np.arange(20)))
    encode = encoder.encode_images

    def noted(images: ImageBatch) -> Tensor:
        met.append(len(images))
        return encode(images)

    monkeypatch.setattr(encoder, "encode_images", noted)
    monkeypatch.setattr("cookie.batches.PIXELS_ON_CPU", 3 * 4 * 4)
    torch.testing.assert_close(encode_images(encoder, corpus, 8), whole.detach())
    assert met == [3, 3, 2, 3, 3, 2, 3, 1]
