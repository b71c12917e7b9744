"""Archives that are cut off, compressed or point elsewhere."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from cookie.data.archives import index_images
from cookie.data.containers import Folder
from cookie.errors import DataError
from tests.cookie.data.photographs import Form, jpeg, write_images


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(jpeg())
    (folder / "deep" / "b.jpg").write_bytes(jpeg())
    (folder / "deep" / "back").symlink_to(folder)
    (folder / "self").symlink_to(folder)
    (folder / "deeper").symlink_to(folder / "deep")
    assert list(Folder(folder).files()) == ["photos/a.jpg", "photos/deep/b.jpg"]


def test_links_within_a_tar_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    with tarfile.open(tmp_path / "images.tar", "w") as tar:
        member = tarfile.TarInfo("a.jpg")
        member.type = tarfile.SYMTYPE
        member.linkname = "../secret.jpg"
        tar.addfile(member)
    assert index_images(tmp_path).find("a.jpg") is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.4, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("form", ["tar", "zip"])
def test_a_cut_off_archive_is_named(tmp_path: Path, form: Form, share: float) -> None:
    path = write_images(tmp_path, {f"{k}.jpg": jpeg(k, 200, 200) for k in range(9)}, form)
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match=rf"images\.{form}' is (no whole|cut off).*get it again"):
        index_images(tmp_path)


def test_a_compressed_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"images\.tar\.gz' is compressed .* gunzip"):
        index_images(tmp_path)
