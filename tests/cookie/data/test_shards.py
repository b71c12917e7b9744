"""Shards are read in place; what is broken is named, whatever it is."""

from __future__ import annotations

import logging
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cookie.data.shard_stream import Shards
from cookie.data.shards import read_shard
from cookie.errors import DataError
from tests.cookie.data.photographs import jpeg
from tests.cookie.data.shard_files import corpus, keys, write_tar

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
    "two images": {"b.jpg": jpeg(), "b.seg.png": jpeg(), "b.txt": b"fine"},
    "two captions": {"b.jpg": jpeg(), "b.txt": b"fine", "b.de.txt": b"gut"},
    "half a character": {"b.jpg": jpeg(), "b.json": b'{"caption": "dog \\ud83d"}'},
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


def test_a_json_goes_before_a_text_and_names_with_a_dot_in_front_are_no_samples(tmp_path: Path):
    files = {"a.jpg": jpeg(), "a.txt": b"text", "a.json": b'{"caption": "fine"}'}
    hidden = {"._a.jpg": b"rubbish", "b/._a.txt": b"rubbish", ".b.jpg": jpeg(), ".b.txt": b"words"}
    (found,) = read_shard(write_tar(tmp_path / "x.tar", {**hidden, **files}))
    assert (found.key, found.captions) == ("a", ("fine",))


def test_names_with_dots_are_no_samples_of_their_own_in_a_shard(tmp_path: Path):
    """As WebDataset has it; but then nothing is dropped without a word."""
    names = [f"2020.01.{day:02d}.{kind}" for day in range(6) for kind in ("jpg", "txt")]
    files = {name: jpeg() if name.endswith("jpg") else b"words" for name in names}
    sentence = r"'2020' in .* has '2020\.01\.00\.jpg' and '2020\.01\.01\.jpg' for its image .*dot"
    with pytest.raises(DataError, match=sentence):
        list(read_shard(write_tar(tmp_path / "x.tar", files)))


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
