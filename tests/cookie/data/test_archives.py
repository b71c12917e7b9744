"""Image files in place: found, read, decoded, or refused in one sentence."""

import io
import struct
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cookie.data import archives
from cookie.data.archives import ArchivedImages, ImageIndex, Location, decode, index_images
from cookie.data.dataset import Photographs
from cookie.errors import DataError
from tests.cookie.data.photographs import Form, jpeg, write_images

FORMS: list[Form] = ["folder", "tar", "zip"]


def find(index: ImageIndex, name: str) -> Location:
    found = index.find(name)
    assert found is not None
    return found


@pytest.mark.parametrize("form", FORMS)
def test_files_are_read_from_every_kind_of_place(tmp_path: Path, form: Form) -> None:
    files = {f"deep/er/{name}.jpg": jpeg(name) for name in range(10)}
    write_images(tmp_path, files | {"notes.txt": b"no image"}, form)
    index = index_images(tmp_path)
    for name, data in files.items():
        for key in (name, name.removeprefix("deep/"), name.removeprefix("deep/er/"), f"x/{name}"):
            location = find(index, key) if not key.startswith("x/") else index.find(Path(key).name)
            assert location is not None
            assert location.size == len(data)
            assert location.container.read(location.name) == data
    assert index.find("notes.txt") is None
    assert index.find("11.jpg") is None


@pytest.mark.parametrize("form", FORMS)
def test_threads_read_side_by_side(tmp_path: Path, form: Form) -> None:
    write_images(tmp_path, {f"{k}.jpg": jpeg(5 * k) for k in range(40)}, form)
    index = index_images(tmp_path)
    images = ArchivedImages([find(index, f"{k}.jpg") for k in range(40)])
    assert len(images) == 40
    with ThreadPoolExecutor(8) as threads:
        loaded = list(threads.map(lambda k: np.asarray(images.load(k % 40, 16)), range(200)))
    for k, pixels in enumerate(loaded):
        assert abs(int(pixels[8, 8, 1]) - 5 * (k % 40)) <= 2


def test_several_archives_and_folders_are_one_set(tmp_path: Path) -> None:
    write_images(tmp_path, {"a.jpg": jpeg(1)}, "tar")
    write_images(tmp_path, {"b.png": jpeg(2, form="PNG")}, "zip")
    write_images(tmp_path, {"c.JPEG": jpeg(3)}, "folder")
    index = index_images(tmp_path)
    assert {
        type(find(index, name).container).__name__ for name in ("a.jpg", "b.png", "c.JPEG")
    } == {
        "Tar",
        "Zip",
        "Folder",
    }


def test_folders_may_be_links(tmp_path: Path) -> None:
    write_images(tmp_path / "elsewhere", {"a.jpg": jpeg(1)})
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "pictures").symlink_to(tmp_path / "elsewhere" / "images")
    write_images(tmp_path / "beyond", {"b.jpg": jpeg(2)})
    (tmp_path / "elsewhere" / "images" / "deep").symlink_to(tmp_path / "beyond" / "images")
    index = index_images(tmp_path / "here")
    for name, value in (("a.jpg", 1), ("b.jpg", 2)):
        location = find(index, name)
        assert location.container.read(location.name) == jpeg(value)


def test_folders_split_as_coco_has_them(tmp_path: Path) -> None:
    for name, value in (("train2014", 1), ("val2014", 200)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(jpeg(value))
    index = index_images(tmp_path)
    location = find(index, "val2014/1.jpg")
    assert location.container.read(location.name) == jpeg(200)


def test_the_same_name_twice_is_refused_unless_it_is_a_copy(tmp_path: Path) -> None:
    data = jpeg(1)
    write_images(tmp_path, {"a/1.jpg": data, "b/1.jpg": data + b"more", "2.jpg": data}, "tar")
    write_images(tmp_path, {"2.jpg": data}, "zip")
    index = index_images(tmp_path)
    assert find(index, "a/1.jpg").size < find(index, "b/1.jpg").size
    assert find(index, "2.jpg").size == len(data)
    with pytest.raises(DataError, match=r"may be 'a/1\.jpg' in .* or 'b/1\.jpg' in"):
        index.find("1.jpg")


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


@pytest.mark.parametrize("form", FORMS)
def test_a_broken_image_is_named_with_its_place(tmp_path: Path, form: Form) -> None:
    write_images(tmp_path, {"half.jpg": jpeg(1, 99, 99)[:-400], "none.jpg": b"hello"}, form)
    index = index_images(tmp_path)
    images = ArchivedImages([find(index, "half.jpg"), find(index, "none.jpg")])
    with pytest.raises(DataError, match=r"half\.jpg' in '.*images.* is broken .*truncated"):
        images.load(0, 16)
    with pytest.raises(DataError, match=r"none\.jpg' in '.*images.* no image of a known kind"):
        images.load(1, 16)


def test_damage_within_a_zip_is_found(tmp_path: Path) -> None:
    path = write_images(tmp_path, {"a.jpg": jpeg(1, 99, 99)}, "zip")
    data = bytearray(path.read_bytes())
    data[300:320] = bytes(20)
    path.write_bytes(bytes(data))
    images = ArchivedImages([find(index_images(tmp_path), "a.jpg")])
    with pytest.raises(DataError, match=r"a\.jpg' in .* cannot be read"):
        images.load(0, 16)


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    folder = write_images(tmp_path, {"a.jpg": jpeg(1)})
    images = ArchivedImages([find(index_images(tmp_path), "a.jpg")])
    (folder / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"a\.jpg' in .* cannot be read"):
        images.load(0, 16)


def png_of(width: int, height: int) -> bytes:
    """A PNG header that promises an image, with no data behind it."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return head + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize("side", [8_001, 12_000, 60_000])
def test_decompression_bombs_are_refused(side: int) -> None:
    with pytest.raises(DataError, match="'x' is absurdly large"):
        decode(png_of(side, side), 16, "'x'")


def test_absurd_files_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path, {"a.jpg": jpeg(1)})
    images = ArchivedImages([find(index_images(tmp_path), "a.jpg")])
    monkeypatch.setattr(archives, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="absurdly large"):
        images.load(0, 16)


@given(place=st.integers(0, 600), data=st.binary(min_size=1, max_size=30))
def test_damaged_images_decode_or_are_refused(place: int, data: bytes) -> None:
    damaged = bytearray(jpeg(7, 24, 24))
    damaged[place : place + len(data)] = data
    with suppress(DataError):  # and no other error
        assert decode(bytes(damaged), 8, "'x'").size == (8, 8)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_color_mode_becomes_rgb(mode: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), (200, 200, 200)).convert("L" if mode == "I;16" else mode).convert(
        mode
    ).save(file, "TIFF")
    image = decode(file.getvalue(), 8, "'x'")
    assert (image.mode, image.size) == ("RGB", (8, 8))


def test_images_are_squeezed_whole() -> None:
    pixels = np.asarray(decode(jpeg(50, 300, 90), 32, "'x'")).astype(int)
    np.testing.assert_allclose(pixels[16, :, 0], (np.arange(32) + 0.5) * 8 - 0.5, atol=4)
    assert abs(pixels[..., 1] - 50).max() <= 2


def test_a_photograph_keeps_its_own_shape_where_asked(tmp_path: Path) -> None:
    data = jpeg(70, 57, 33)
    write_images(tmp_path, {"a.jpg": data}, "tar")
    images = ArchivedImages([find(index_images(tmp_path), "a.jpg")])
    assert isinstance(images, Photographs)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert (np.asarray(images.original(0)) == expected).all()
    assert images.load(0, 8).size == (8, 8)


def test_images_of_the_wanted_size_are_left_alone() -> None:
    data = jpeg(50, 32, 32, "PNG")
    expected = np.asarray(Image.open(io.BytesIO(data)))
    assert (np.asarray(decode(data, 32, "'x'")) == expected).all()
