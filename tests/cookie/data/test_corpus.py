"""PixelCorpus keeps the corpus protocol."""

from typing import get_args

import numpy as np
import pytest
import torch

from cookie.config import AugmentConfig
from cookie.data import corpus as module
from cookie.data.augment import ImageAugment, delete_words, mask_words, other_captions
from cookie.data.corpus import PixelCorpus
from cookie.data.scenes import SceneCounts, generate_scenes
from cookie.data.tokenizer import Tokenizer
from cookie.interfaces import Corpus, TextView

SPLIT = generate_scenes(SceneCounts(0, 0, 12)).split("test")
PIXELS = np.stack(
    [np.asarray(SPLIT.images.load(index, 16)).transpose(2, 0, 1) for index in range(12)]
)
PIXELS.setflags(write=False)  # as a memory map is
TOKENIZER = Tokenizer.from_captions(SPLIT.captions)
AUGMENT = AugmentConfig(color=0.4, flip=0.5, text_rate=0.5)


def make(device: str = "cpu") -> PixelCorpus:
    return PixelCorpus(SPLIT, PIXELS, TOKENIZER, max_tokens=16, augment=AUGMENT, device=device)


CORPUS = make()
INDICES = np.array([7, 2, 2, 59, 0])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_it_is_a_corpus() -> None:
    corpus: Corpus = CORPUS
    assert corpus.image_count == 12
    assert corpus.caption_image is SPLIT.caption_image
    assert corpus.captions == SPLIT.captions


def test_images_are_the_pixels_at_the_indices() -> None:
    batch = CORPUS.images(np.array([3, 11, 3]))
    assert batch.pixels is not None
    assert batch.pixels.dtype == torch.uint8
    assert (batch.pixels.numpy() == PIXELS[[3, 11, 3]]).all()


def test_images_with_a_generator_are_augmented() -> None:
    indices = np.array([3, 11, 3])
    batch = CORPUS.images(indices, generator())
    expected = ImageAugment(AUGMENT)(torch.from_numpy(PIXELS[indices]), generator())
    assert batch.pixels is not None
    assert batch.pixels.equal(expected)


def test_texts_are_padded_to_the_longest_of_the_batch() -> None:
    batch = CORPUS.texts(INDICES)
    expected = TOKENIZER.encode([SPLIT.captions[index] for index in INDICES], 16)
    assert batch.ids.equal(expected.ids)
    assert batch.mask.equal(expected.mask)
    assert batch.tokens is None
    shortest = int(np.argmin([len(caption) for caption in SPLIT.captions]))
    alone = CORPUS.texts(np.array([shortest]))
    assert alone.mask.all()
    assert alone.ids.equal(TOKENIZER.encode([SPLIT.captions[shortest]], 16).ids)
    assert alone.ids.shape[1] < 16


def test_texts_with_a_generator_are_views() -> None:
    written = CORPUS.texts(INDICES)
    ids, mask = written.ids, written.mask
    masked = CORPUS.texts(INDICES, generator(), "mask")
    assert masked.ids.equal(mask_words(ids, mask, 0.5, TOKENIZER.mask_id, generator()))
    assert masked.mask.equal(mask)
    deleted = CORPUS.texts(INDICES, generator(), "delete")
    expected = delete_words(ids, mask, 0.5, TOKENIZER.pad_id, generator())
    assert deleted.ids.equal(expected[0])
    assert deleted.mask.equal(expected[1])
    dropout = CORPUS.texts(INDICES, generator(), "dropout")
    assert dropout.ids.equal(ids)
    assert dropout.mask.equal(mask)
    other = CORPUS.texts(INDICES, generator(), "caption")
    chosen = other_captions(INDICES, CORPUS.caption_image, generator())
    assert other.ids.equal(CORPUS.texts(chosen).ids)
    assert (chosen != INDICES).any()
    assert not masked.ids.equal(ids)


@pytest.mark.parametrize("view", get_args(TextView))
def test_views_do_not_change_the_corpus(view: TextView) -> None:
    before = CORPUS.texts(INDICES).ids.clone()
    CORPUS.texts(INDICES, generator(), view).ids.zero_()
    assert CORPUS.texts(INDICES).ids.equal(before)


def test_pixels_of_another_split_are_refused() -> None:
    with pytest.raises(ValueError, match="11 images in the pixels, 12 in the split"):
        PixelCorpus(SPLIT, PIXELS[:11], TOKENIZER, max_tokens=16, augment=AUGMENT)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("share", [0.5, 0.0])
def test_a_gpu_holds_the_pixels_where_they_fit(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(module, "RESIDENT_SHARE", share)
    corpus = make("cuda")
    assert (corpus._resident is not None) == (share > 0)
    indices = np.array([3, 11, 3])
    batch, texts = corpus.images(indices), corpus.texts(INDICES, generator())
    assert batch.pixels is not None
    assert batch.pixels.device.type == texts.ids.device.type == "cuda"
    assert (batch.pixels.cpu().numpy() == PIXELS[indices]).all()
    assert texts.ids.cpu().equal(CORPUS.texts(INDICES, generator()).ids)
