"""Image files in place: found, read, decoded, or refused in one sentence."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cookie.data import archives
from cookie.data.archives import ArchivedImages, ImageIndex, Location, index_images
from cookie.data.containers import Folder
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
def test_what_begins_with_a_dot_is_no_image(tmp_path: Path, form: Form) -> None:
    write_images(tmp_path, {"a.jpg": jpeg(1), "__MACOSX/._a.jpg": b"about a.jpg"}, form)
    (tmp_path / "._images.zip").write_bytes(b"about images.zip")
    index = index_images(tmp_path)
    assert index.find("._a.jpg") is None
    assert find(index, "a.jpg").size == len(jpeg(1))


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


@pytest.mark.parametrize("form", FORMS)
def test_files_of_one_size_are_compared_byte_by_byte(tmp_path: Path, form: Form) -> None:
    data = jpeg(1, form="BMP")
    other = jpeg(2, form="BMP")
    assert len(data) == len(other)
    write_images(tmp_path, {"a/1.bmp": data, "a/2.bmp": data}, form)
    write_images(tmp_path / "more", {"1.bmp": data, "2.bmp": other})
    index = index_images(tmp_path)
    assert find(index, "1.bmp").size == len(data)
    assert find(index, "a/2.bmp").container.read(find(index, "a/2.bmp").name) == data
    with pytest.raises(DataError, match=r"'2\.bmp' may be .*a/2\.bmp' in .* or 'more/images/2"):
        index.find("2.bmp")


def test_only_names_that_are_asked_for_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("one", "two"):
        write_images(tmp_path / folder, {"a.jpg": jpeg(1), "b.jpg": jpeg(1), "c.jpg": jpeg(1)})
    index, read = index_images(tmp_path), list[str]()
    real = Folder.read

    def noted(self: Folder, name: str) -> bytes:
        read.append(name)
        return real(self, name)

    monkeypatch.setattr(Folder, "read", noted)
    find(index, "one/images/a.jpg")
    assert read == []
    find(index, "b.jpg")
    assert sorted(read) == ["one/images/b.jpg", "two/images/b.jpg"]


def test_another_folder_takes_the_place_of_none_that_is_there(tmp_path: Path) -> None:
    write_images(tmp_path, {"train/1.jpg": jpeg(1), "train/2.jpg": jpeg(2), "val/2.jpg": jpeg(3)})
    index = index_images(tmp_path)
    assert index.find("val/1.jpg") is None
    assert find(index, "val2014/1.jpg").name == "images/train/1.jpg"


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


def test_absurd_files_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path, {"a.jpg": jpeg(1)})
    images = ArchivedImages([find(index_images(tmp_path), "a.jpg")])
    monkeypatch.setattr(archives, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="absurdly large"):
        images.load(0, 16)


def test_a_photograph_keeps_its_own_shape_where_asked(tmp_path: Path) -> None:
    data = jpeg(70, 57, 33)
    write_images(tmp_path, {"a.jpg": data}, "tar")
    images = ArchivedImages([find(index_images(tmp_path), "a.jpg")])
    assert isinstance(images, Photographs)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert (np.asarray(images.original(0)) == expected).all()
    assert images.load(0, 8).size == (8, 8)
