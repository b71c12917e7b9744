"""Splits, facts and the registry."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cookie.data.catalog import find_data_root
from cookie.data.dataset import RetrievalDataset, build_split, datasets
from cookie.errors import DataError, UserError


class Plain:
    """Images of one color each."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def load(self, index: int, size: int) -> Image.Image:
        """Return a plain image."""
        return Image.new("RGB", (size, size), (index, 0, 0))


def test_captions_are_flattened_with_their_owners() -> None:
    split = build_split(Plain(3), ["x", "y", "z"], [["a"], ["b", " c  d\t"], ["e", "f", "g"]])
    assert split.captions == ("a", "b", "c d", "e", "f", "g")
    assert split.caption_image.tolist() == [0, 1, 1, 2, 2, 2]
    assert split.caption_image.dtype == np.int64
    assert len(split) == 3
    assert split.facts() == {
        "images": 3,
        "captions": 6,
        "captions_per_image": {"1": 1, "2": 1, "3": 1},
    }


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ([["a"], []], "'y' has no captions"),
        ([["a", "\n "], ["b"]], "'x' has an empty caption"),
        ([["a"], ["b", "c \ud83d"]], "'y' has half a character in a caption"),
    ],
)
def test_captions_that_are_none_are_named(captions: list[list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_split(Plain(2), ["x", "y"], captions)


def test_an_unknown_split_suggests_the_nearest() -> None:
    split = build_split(Plain(1), ["x"], [["a"]])
    dataset = RetrievalDataset("mine", "0" * 64, {"train": split, "test": split})
    assert dataset.split("test") is split
    with pytest.raises(UserError, match="Unknown split of mine 'tset': did you mean 'test'"):
        dataset.split("tset")
    assert dataset.facts() == {
        "name": "mine",
        "sha256": "0" * 64,
        "splits": {"train": split.facts(), "test": split.facts()},
    }


def test_known_data_sets_are_registered() -> None:
    assert set(datasets) == {"scenes", "flickr8k", "flickr30k", "coco"}


def test_the_data_root_is_given_or_set_or_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COOKIE_DATA", "/somewhere")
    assert find_data_root(Path("x")) == Path("x")
    assert find_data_root() == Path("/somewhere")
    monkeypatch.setenv("COOKIE_DATA", "")
    assert find_data_root() == Path("data")


@pytest.mark.parametrize("name", ["val", "test"])
def test_a_split_that_is_missing_or_empty_is_named(name: str) -> None:
    train, empty = build_split(Plain(1), ["x"], [["a"]]), build_split(Plain(0), [], [])
    dataset = RetrievalDataset("mine", "0" * 64, {"train": train, "test": empty})
    said = f"The data set 'mine' has no {name} images, only train: add some"
    with pytest.raises(DataError, match=said):
        dataset.split(name)
    with pytest.raises(DataError, match=said):
        dataset.require("train", name)
    dataset.require("train")
    assert dataset.filled == ["train"]
    with pytest.raises(DataError, match="no train images, nor any others: add some"):
        RetrievalDataset("mine", "0" * 64, {}).require("train")
