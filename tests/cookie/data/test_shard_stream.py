"""Samples come in a seeded order, shared by processes, gone on with from anywhere."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest

from cookie.data import shard_stream
from cookie.data.shard_stream import Position, Shards
from cookie.errors import DataError, UserError
from tests.cookie.data.photographs import jpeg
from tests.cookie.data.shard_files import corpus, keys, write_tar


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
    monkeypatch.setattr(shard_stream, "MIXED", 1)
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
    monkeypatch.setattr(shard_stream, "MIXED", mixed)
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
