"""Shards are written whole, and read as they were written."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cookie.data import shard_writer
from cookie.data.catalog import load_dataset
from cookie.data.shard_writer import samples_of, write_shards
from cookie.data.shards import Sample, read_shard
from cookie.errors import UserError
from tests.cookie.data.photographs import jpeg
from tests.cookie.data.shard_files import corpus, sample


def test_what_was_written_is_read(tmp_path: Path):
    paths = corpus(tmp_path)
    assert [path.name for path in paths] == [f"{number:05d}.tar" for number in range(6)]
    found = [each for path in paths for each in read_shard(path)]
    assert found == [sample(number) for number in range(23)]
    assert found[3].load(16).size == (16, 16)


def test_equal_samples_give_equal_bytes(tmp_path: Path):
    one, other = corpus(tmp_path / "one"), corpus(tmp_path / "other")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_a_split_goes_through_shards_unchanged(tmp_path: Path):
    split = load_dataset("scenes", preset="smoke").split("test")
    found = list(read_shard(write_shards(samples_of(split, 32), tmp_path)[0]))
    assert len(found) == len(split)
    for index in (0, 5, len(split) - 1):
        own = [
            c
            for c, owner in zip(split.captions, split.caption_image, strict=True)
            if owner == index
        ]
        assert found[index].captions == tuple(own)
        expected = np.asarray(split.images.load(index, 32))
        assert (np.asarray(found[index].load(32)) == expected).all()


@pytest.mark.parametrize("key", ["", "a.b", "a/b", "..", "a\\b"])
def test_keys_that_would_not_be_found_again_are_refused(tmp_path: Path, key: str):
    with pytest.raises(UserError, match="cannot be a sample's key"):
        write_shards([Sample(key, jpeg(), ("words",))], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_whole_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = shard_writer._add

    def filling(tar: tarfile.TarFile, name: str, data: bytes) -> None:
        if name.startswith("k006"):
            raise OSError(28, "No space left on device")
        real(tar, name, data)

    monkeypatch.setattr(shard_writer, "_add", filling)
    with pytest.raises(UserError, match=r"No space left while writing .*00001\.tar"):
        corpus(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["00000.tar"]


@pytest.mark.parametrize("size", [0, -1])
def test_a_shard_of_nothing_is_refused(tmp_path: Path, size: int):
    with pytest.raises(UserError, match="choose 1 or more"):
        write_shards([sample(0)], tmp_path, size)


def test_webdataset_reads_what_is_written_and_the_reverse(tmp_path: Path):
    webdataset: Any = pytest.importorskip("webdataset")
    path = corpus(tmp_path, 5, 5)[0]
    with path.open("rb") as file:
        files = webdataset.tariterators.tar_file_iterator(file)
        named = ({**each, "__url__": str(path)} for each in files)
        found = list(webdataset.tariterators.group_by_keys(named))
    for number, each in enumerate(found):
        assert each["jpg"] == sample(number).image
        assert json.loads(each["json"])["captions"] == list(sample(number).captions)
    other = tmp_path / "other.tar"
    with webdataset.TarWriter(str(other)) as writer:
        writer.write({"__key__": "deep/a", "jpg": jpeg(1), "txt": "some words"})
        writer.write({"__key__": "deep/b", "png": jpeg(2), "json": {"caption": "others"}})
    assert [(each.key, each.captions) for each in read_shard(other)] == [
        ("deep/a", ("some words",)),
        ("deep/b", ("others",)),
    ]
