"""Shards: written whole, read in a seeded order, shared by processes, gone on from anywhere."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import logging
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cookie.data import shards as subject
from cookie.data.catalog import load_dataset
from cookie.data.shards import Position, Sample, Shards, read_shard, samples_of, write_shards
from cookie.errors import DataError, UserError
from tests.cookie.data.photographs import jpeg


def sample(number: int) -> Sample:
    return Sample(f"k{number:03d}", jpeg(number % 200), (f"caption {number}", f"wörd {number}"))


def corpus(folder: Path, count: int = 23, size: int = 4) -> list[Path]:
    return write_shards((sample(number) for number in range(count)), folder, size)


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def keys(stream: Shards, count: int) -> list[str]:
    return [found.key for found in itertools.islice(stream, count)]


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


def test_every_epoch_has_every_sample_once_in_an_order_of_its_own(tmp_path: Path):
    found = keys(Shards(corpus(tmp_path), seed=1), 3 * 23)
    epochs = [found[start : start + 23] for start in (0, 23, 46)]
    assert all(sorted(epoch) == [f"k{n:03d}" for n in range(23)] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs[0] != sorted(epochs[0])


def test_the_order_is_of_seed_and_bytes_alone(tmp_path: Path):
    here, there = corpus(tmp_path / "here"), corpus(tmp_path / "there")
    expected = keys(Shards(here, seed=1), 40)
    assert keys(Shards(reversed(there), seed=1), 40) == expected
    assert keys(Shards(here, seed=2), 40) != expected


def test_neighboring_shards_are_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = corpus(tmp_path, 40, 10)
    first = set(keys(Shards(paths, seed=0), 10))
    assert len({int(key[1:]) // 10 for key in first}) > 1
    monkeypatch.setattr(subject, "MIXED", 1)
    first = set(keys(Shards(paths, seed=0), 10))
    assert len({int(key[1:]) // 10 for key in first}) == 1


@pytest.mark.parametrize("world", [2, 3, 6])
def test_processes_share_an_epoch(tmp_path: Path, world: int):
    paths = corpus(tmp_path)
    found: Counter[str] = Counter()
    for rank in range(world):
        stream = Shards(paths, seed=4, rank=rank, world=world)
        for each in stream:
            if stream.position.epoch:
                break
            found[each.key] += 1
    assert found == Counter({f"k{number:03d}": 1 for number in range(23)})


@pytest.mark.parametrize("mixed", [1, 2, 8])
@pytest.mark.parametrize("passed", [0, 1, 3, 4, 22, 23, 24, 50])
def test_a_stream_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: int, mixed: int
):
    monkeypatch.setattr(subject, "MIXED", mixed)
    paths = corpus(tmp_path)
    whole = keys(Shards(paths, seed=7), passed + 30)
    cut = Shards(paths, seed=7)
    assert keys(cut, passed) == whole[:passed]
    stored = Position(**json.loads(json.dumps(dataclasses.asdict(cut.position))))
    assert keys(Shards(paths, seed=7, start=stored), 30) == whole[passed:]
    assert keys(cut, 30) == whole[passed:]


def test_too_many_processes_are_refused(tmp_path: Path):
    paths = corpus(tmp_path)
    with pytest.raises(UserError, match="6 shards cannot be shared by 7 processes"):
        Shards(paths, seed=0, world=7)
    with pytest.raises(UserError, match="0 shards cannot be shared by 1 processes"):
        Shards([], seed=0)


BROKEN: dict[str, dict[str, bytes]] = {
    "no caption": {"b.jpg": jpeg()},
    "no image": {"b.txt": b"words"},
    "an empty caption": {"b.jpg": jpeg(), "b.txt": b"  "},
    "no unicode": {"b.jpg": jpeg(), "b.txt": b"\xff\xfe\xfa"},
    "no JSON": {"b.jpg": jpeg(), "b.json": b"{"},
    "JSON of another kind": {"b.jpg": jpeg(), "b.json": b"[1]"},
    "no list": {"b.jpg": jpeg(), "b.json": b'{"captions": "one"}'},
    "numbers": {"b.jpg": jpeg(), "b.json": b'{"captions": [1]}'},
    "none": {"b.jpg": jpeg(), "b.json": b'{"captions": []}'},
    "a deep nest": {"b.jpg": jpeg(), "b.json": b"[" * 200_000},
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_unreadable_sample_is_named_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
):
    files = {"a.jpg": jpeg(), "a.txt": b"fine", **BROKEN[kind]}
    path = write_tar(tmp_path / "x.tar", files)
    stream = Shards([path], seed=0, broken=1)
    with caplog.at_level(logging.WARNING):
        assert keys(stream, 3) == ["a", "a", "a"]
    assert stream.left_out == ["b in x.tar"]
    assert caplog.text.count("Sample 'b' in") == 1
    with pytest.raises(DataError, match=r"Sample 'b' in .*x\.tar' .* 1 unreadable samples where 0"):
        keys(Shards([path], seed=0), 3)
    with pytest.raises(DataError, match="Sample 'b' in"):
        list(read_shard(path))


def test_a_broken_image_is_left_out_by_who_decodes_it(tmp_path: Path):
    path = write_tar(tmp_path / "x.tar", {"a.jpg": jpeg()[:200], "a.txt": b"words"})
    stream = Shards([path], seed=0, broken=1)
    found = next(iter(stream))
    with pytest.raises(DataError, match="Image 'a' is") as caught:
        found.load(16)
    stream.leave_out(found.key, caught.value)
    with pytest.raises(DataError, match="makes 2 unreadable samples where 1 may be"):
        stream.leave_out("another", caught.value)


def test_shards_without_a_sample_end_in_a_sentence(tmp_path: Path):
    path = write_tar(tmp_path / "x.tar", {"notes.md": b"nothing"})
    with pytest.raises(DataError, match="holds no samples"):
        next(iter(Shards([path], seed=0)))
    path = write_tar(tmp_path / "y.tar", {"a.txt": b"words"})
    with pytest.raises(DataError, match="holds no samples"):
        next(iter(Shards([path], seed=0, broken=5)))


def test_a_shard_that_is_cut_off_is_named(tmp_path: Path):
    path = corpus(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"00000\.tar' is (cut off|no whole tar file)"):
        list(read_shard(path))


def test_links_and_paths_lead_nowhere(tmp_path: Path):
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    path = write_tar(tmp_path / "x.tar", {"../secret.txt": b"words", "/etc/a.jpg": jpeg()})
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("../secret.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.jpg")
        tar.addfile(link)
    stream = Shards([path], seed=0, broken=2)
    with pytest.raises(DataError, match="holds no samples"):
        next(iter(stream))
    assert {name.partition(" in")[0] for name in stream.left_out} == {"../secret", "/etc/a"}


@pytest.mark.parametrize("key", ["", "a.b", "a/b", "..", "a\\b"])
def test_keys_that_would_not_be_found_again_are_refused(tmp_path: Path, key: str):
    with pytest.raises(UserError, match="cannot be a sample's key"):
        write_shards([Sample(key, jpeg(), ("words",))], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_whole_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = subject._add

    def filling(tar: tarfile.TarFile, name: str, data: bytes) -> None:
        if name.startswith("k006"):
            raise OSError(28, "No space left on device")
        real(tar, name, data)

    monkeypatch.setattr(subject, "_add", filling)
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


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=20), st.binary(max_size=50), max_size=6), st.data()
)
def test_whatever_a_tar_holds_only_sentences_come_out(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], data: st.DataObject
):
    path = tmp_path_factory.mktemp("fuzz") / "x.tar"
    try:
        write_tar(path, files)
    except (ValueError, UnicodeError):
        return  # no tar can hold these names
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    harm = data.draw(st.binary(max_size=20))
    content[place : place + len(harm)] = harm
    path.write_bytes(bytes(content))
    try:
        found = list(read_shard(path))
    except DataError:
        return
    assert all(each.captions for each in found)
