"""Flickr8k itself, where it is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from cookie.data.catalog import find_data_root, load_dataset
from cookie.data.dataset import RetrievalDataset
from cookie.data.pixels import open_pixels

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not (os.environ.get("COOKIE_DATA") and (find_data_root() / "flickr8k").is_dir()),
        reason="COOKIE_DATA does not name a folder with flickr8k",
    ),
]


@pytest.fixture(scope="module")
def flickr8k() -> RetrievalDataset:
    return load_dataset("flickr8k")


def test_counts_are_the_official_ones(flickr8k: RetrievalDataset) -> None:
    for name, counts in (("train", (5999, 6000)), ("val", (1000,)), ("test", (1000,))):
        split = flickr8k.split(name)
        assert len(split) in counts
        assert split.facts()["captions_per_image"] == {"5": len(split)}


def test_the_first_test_photograph_is_the_one_described(
    flickr8k: RetrievalDataset, tmp_path: Path
) -> None:
    split = flickr8k.split("test")
    assert split.image_names[0] == "1056338697_4f7d7ce270.jpg"
    assert split.captions[1] == "A blond woman is on the street hailing a taxi ."
    pixels = np.asarray(split.images.load(0, 64)).astype(int)
    assert pixels.shape == (64, 64, 3)
    assert pixels.std() > 30


def test_a_split_is_decoded_whole(flickr8k: RetrievalDataset, tmp_path: Path) -> None:
    pixels = open_pixels(flickr8k, "val", 32, tmp_path)
    assert pixels.shape == (1000, 3, 32, 32)
    means = pixels.reshape(1000, -1).mean(axis=1)
    assert 90 < means.mean() < 140
    assert len(np.unique(means)) > 990  # no photograph twice
