"""Unreadable training images: named, counted, left out up to a limit, an error above it."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest

from cookie.config import Config
from cookie.data.dataset import RetrievalDataset
from cookie.data.karpathy import load_karpathy
from cookie.data.pixels import broken_images, open_pixels
from cookie.data.tokenizer import Tokenizer
from cookie.errors import DataError
from cookie.features.corpora import build_corpora
from cookie.presets import preset
from cookie.training.order import pair_order
from tests.cookie.data.photographs import entry, jpeg, write_annotations, write_images

BAD = (2, 5)


def photographs(folder: Path, bad_split: str = "train") -> RetrievalDataset:
    """Eight training images and two each for validation and test; some of one split broken."""
    root = folder / "mine"
    splits = [("train", 8), ("val", 2), ("test", 2)]
    names = [(split, k, f"{split}{k}.jpg") for split, count in splits for k in range(count)]
    write_annotations(root, [entry(name, split) for split, _, name in names])
    bad = BAD if bad_split == "train" else (0,)
    broken = {name for split, k, name in names if split == bad_split and k in bad}
    files = {name: jpeg(k)[:150] if name in broken else jpeg(k) for _, k, name in names}
    write_images(root, files)
    return load_karpathy("mine", root)


def config(allowed: int) -> Config:
    base = preset("smoke")
    return dataclasses.replace(base, train=dataclasses.replace(base.train, broken_images=allowed))


def test_they_are_named_and_black(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    data = photographs(tmp_path)
    with caplog.at_level(logging.WARNING):
        pixels = open_pixels(data, "train", 32, tmp_path / "cache", broken=2)
    assert [int(index) for index in np.flatnonzero(pixels.max(axis=(1, 2, 3)) == 0)] == list(BAD)
    assert all(f"'images/train{index}.jpg'" in caplog.text for index in BAD)
    assert broken_images(data, "train", 32, tmp_path / "cache", 2) == list(BAD)


@pytest.mark.parametrize("allowed", [0, 1])
def test_one_too_many_is_an_error_and_nothing_is_kept(tmp_path: Path, allowed: int):
    data, cache = photographs(tmp_path), tmp_path / "cache"
    with pytest.raises(DataError, match=rf"train{BAD[allowed]}\.jpg' in .*mine.*") as caught:
        open_pixels(data, "train", 32, cache, broken=allowed)
    assert ("one more than the 1 of train.broken_images" in str(caught.value)) == bool(allowed)
    assert not list(cache.rglob("*.*"))


def test_the_limit_holds_for_what_is_cached_too(tmp_path: Path):
    data, cache = photographs(tmp_path), tmp_path / "cache"
    open_pixels(data, "train", 32, cache, broken=2)
    for allowed in (0, 1):
        with pytest.raises(DataError, match=r"train5\.jpg"):
            open_pixels(data, "train", 32, cache, broken=allowed)
        with pytest.raises(DataError, match=r"train5\.jpg"):
            broken_images(data, "train", 32, cache, allowed)


def test_a_list_from_before_the_images_were_mended_is_dropped(tmp_path: Path):
    data, cache = photographs(tmp_path), tmp_path / "cache"
    open_pixels(data, "train", 32, cache, broken=2)
    for path in cache.rglob("*.npy"):
        path.unlink()
    for index in BAD:
        (tmp_path / "mine" / "images" / f"train{index}.jpg").write_bytes(jpeg(9))
    open_pixels(data, "train", 32, cache)
    assert broken_images(data, "train", 32, cache) == []
    assert not list(cache.rglob("*.json"))


def test_training_never_asks_for_them(tmp_path: Path):
    data = photographs(tmp_path)
    captions = data.split("train").captions
    tokenizer = Tokenizer.from_captions(captions)
    made = build_corpora(data, config(2), tokenizer, device="cpu", cache_dir=tmp_path / "cache")
    corpus = made["train"]
    assert corpus.image_count == 8
    assert set(corpus.caption_image.tolist()) == set(range(8)) - set(BAD)
    order = pair_order(corpus.caption_image, 0, 0)
    assert set(corpus.caption_image[order].tolist()) == set(range(8)) - set(BAD)
    for index in range(len(corpus.captions)):
        rows = np.array([index])
        batch = corpus.texts(rows)
        own = corpus.captions[index]
        assert f"train{corpus.caption_image[index]}.jpg" in own
        ids, _ = tokenizer.encode([own], config(0).text.max_tokens)
        assert batch.ids.tolist() == ids.tolist()
        assert int(corpus.images(corpus.caption_image[rows]).data.max()) > 0
    assert len(made["val"].captions) == 4


def test_they_are_counted_each_time(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The second training decodes nothing, and would otherwise say nothing."""
    data, cache = photographs(tmp_path), tmp_path / "cache"
    tokenizer = Tokenizer.from_captions(data.split("train").captions)
    for _ in range(2):
        caplog.clear()
        build_corpora(data, config(2), tokenizer, device="cpu", cache_dir=cache)
        assert "2 of 8 training images of mine cannot be read" in caplog.text


@pytest.mark.parametrize("split", ["val", "test"])
def test_no_result_comes_from_part_of_a_split(tmp_path: Path, split: str):
    data = photographs(tmp_path, split)
    tokenizer = Tokenizer.from_captions(data.split("train").captions)
    with pytest.raises(DataError, match=rf"{split}0\.jpg"):
        build_corpora(data, config(9), tokenizer, device="cpu", cache_dir=tmp_path / "cache")


def test_when_all_are_broken_there_is_nothing_to_train_on(tmp_path: Path):
    data = photographs(tmp_path)
    for path in (tmp_path / "mine" / "images").glob("train*"):
        path.write_bytes(b"rubbish")
    tokenizer = Tokenizer.from_captions(data.split("train").captions)
    with pytest.raises(DataError, match="No training image can be read"):
        build_corpora(data, config(8), tokenizer, device="cpu", cache_dir=tmp_path / "cache")
