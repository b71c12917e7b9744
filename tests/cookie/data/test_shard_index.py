"""What is in a shard is found out once, every image tried; what changed is found out again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cookie.data import shard_index
from cookie.data.containers import Folder, Tar
from cookie.data.shard_index import Entry, index_of
from cookie.errors import DataError
from tests.cookie.data.photographs import jpeg
from tests.cookie.data.shard_files import corpus, sample, write_tar
from tests.cookie.data.test_shards import BROKEN


def test_entries_lead_to_the_bytes(tmp_path: Path):
    paths = corpus(tmp_path / "shards")
    for number, path in enumerate(paths):
        entries = index_of(Tar(path), tmp_path / "cache")
        content = path.read_bytes()
        for row, entry in enumerate(entries):
            expected = sample(4 * number + row)
            assert content[entry.offset : entry.offset + entry.size] == expected.image
            assert (entry.key, entry.captions) == (expected.key, expected.captions)
            assert (entry.file, entry.fault) == ("", "")


def test_a_folder_is_read_like_a_shard_and_notes_are_passed_over(tmp_path: Path):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(jpeg(1))
    (folder / "a.txt").write_text("first\n")
    (folder / "deep" / "b.png").write_bytes(jpeg(2, form="PNG"))
    (folder / "deep" / "b.json").write_text('{"captions": ["second", "third"]}')
    (folder / "c.jpg").write_bytes(jpeg(3))
    (folder / "README.txt").write_text("a note")
    found = index_of(Folder(folder), tmp_path / "cache")
    assert [(entry.key, entry.file, entry.captions) for entry in found] == [
        ("photos/a", "photos/a.jpg", ("first",)),
        ("photos/c", "photos/c.jpg", ()),
        ("photos/deep/b", "photos/deep/b.png", ("second", "third")),
    ]
    assert [bool(entry.fault) for entry in found] == [False, True, False]
    assert "'photos/c' in" in found[1].fault
    assert "has no caption" in found[1].fault
    assert found[2].size == (folder / "deep" / "b.png").stat().st_size


def test_in_a_folder_names_may_have_dots_and_bytes_of_any_kind(tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    stems = ["2020.01.00", "2020.01.01", os.fsdecode(b"caf\xe9"), "x.jpg"]
    for stem in stems:
        (folder / f"{stem}.jpg").write_bytes(jpeg())
        (folder / f"{stem}.txt").write_text(ascii(stem))
    (folder / "._2020.01.00.jpg").write_bytes(b"rubbish")
    (folder / ".hidden.txt").write_text("rubbish")
    for _ in ("found out", "read"):
        found = index_of(Folder(folder), tmp_path / "cache")
        assert {entry.key: entry.captions for entry in found} == {
            f"photos/{stem}": (ascii(stem),) for stem in stems
        }
        assert not any(entry.fault for entry in found)


def test_two_images_for_one_caption_are_a_fault_in_a_folder(tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "a.png"):
        (folder / name).write_bytes(jpeg())
    (folder / "a.txt").write_text("words")
    (found,) = index_of(Folder(folder), tmp_path / "cache")
    assert "has 'photos/a.jpg' and 'photos/a.png' for its image: rename one." in found.fault
    assert found.captions == ()


def test_it_is_found_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = corpus(tmp_path / "shards")[0]
    first = index_of(Tar(path), tmp_path / "cache")
    monkeypatch.setattr(shard_index, "_entry", None)  # it would be called
    assert index_of(Tar(path), tmp_path / "cache") == first
    assert all(isinstance(entry, Entry) for entry in first)


def test_what_changed_is_found_out_again(tmp_path: Path):
    path = write_tar(tmp_path / "x.tar", {"a.jpg": jpeg(), "a.txt": b"words"})
    index_of(Tar(path), tmp_path / "cache")
    write_tar(path, {"a.jpg": jpeg(), "a.txt": b"other"})
    os.utime(path, ns=(1, 1))
    assert index_of(Tar(path), tmp_path / "cache")[0].captions == ("other",)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.jpg").write_bytes(jpeg())
        (folder / f"{name}.txt").write_text(name)
        assert index_of(Folder(folder), tmp_path / "cache")[-1].captions == (name,)


@pytest.mark.parametrize("harm", ["", "[[1]]", "[1]", "{}x"])
def test_a_harmed_index_is_made_again(tmp_path: Path, harm: str):
    path = corpus(tmp_path / "shards")[0]
    expected = index_of(Tar(path), tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(harm)
    assert index_of(Tar(path), tmp_path / "cache") == expected


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_read_is_kept_with_its_fault(tmp_path: Path, kind: str):
    files = {"a.jpg": jpeg(), "a.txt": b"fine", **BROKEN[kind]}
    path = write_tar(tmp_path / "x.tar", files)
    good, bad = index_of(Tar(path), tmp_path / "cache")
    assert (good.fault, bad.captions) == ("", ())
    assert bad.fault.startswith(f"Sample 'b' in '{path}'")
    assert index_of(Tar(path), tmp_path / "cache") == [good, bad]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (jpeg()[:200], "is broken"),
        (jpeg(form="PNG")[:70], "is broken"),
        (b"GIF8rubbish", "is no image of a known kind"),
        (b"P6 90000 90000 255\n", "is absurdly large"),
        (b"", "is no image of a known kind"),
    ],
    ids=["cut JPEG", "cut PNG", "rubbish", "bomb", "nothing"],
)
def test_images_are_tried(tmp_path: Path, image: bytes, reason: str):
    path = write_tar(tmp_path / "x.tar", {"a.jpg": image, "a.txt": b"fine"})
    (entry,) = index_of(Tar(path), tmp_path / "cache")
    assert entry.captions == ("fine",)
    assert f"Image 'a' in '{path}' {reason}" in entry.fault


def test_a_shard_that_is_cut_off_leaves_no_index(tmp_path: Path):
    path = corpus(tmp_path / "shards")[0]
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"is (cut off|no whole tar file)"):
        index_of(Tar(path), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
