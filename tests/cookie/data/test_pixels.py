"""The pixel cache: right, reused, and never half."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cookie.data import pixels
from cookie.data.dataset import RetrievalDataset, build_split
from cookie.data.pixels import open_pixels
from cookie.errors import DataError, UserError


class Counted:
    """Images that count how often they are asked for; ``broken`` says which fails."""

    def __init__(self, count: int, broken: int = -1) -> None:
        self.count, self.broken, self.loads = count, broken, 0

    def __len__(self) -> int:
        return self.count

    def load(self, index: int, size: int) -> Image.Image:
        """Return noise that belongs to ``index``."""
        self.loads += 1
        if index == self.broken:
            raise DataError(f"image {index} is broken")
        values = np.random.default_rng(index).integers(0, 256, (size, size, 3))
        return Image.fromarray(values.astype(np.uint8))


def dataset(source: Counted, digest: str = "ab" * 32) -> RetrievalDataset:
    names = [str(index) for index in range(len(source))]
    return RetrievalDataset(
        "mine", digest, {"test": build_split(source, names, [["a"]] * len(names))}
    )


def cached(folder: Path) -> list[Path]:
    return [path for path in (folder / "pixels").rglob("*") if path.is_file()]


def test_pixels_are_those_of_the_images_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "CHUNK", 7)
    source = Counted(30)
    opened = open_pixels(dataset(source), "test", 12, tmp_path)
    assert opened.shape == (30, 3, 12, 12)
    assert opened.dtype == np.uint8
    assert not opened.flags.writeable
    assert isinstance(opened, np.memmap)
    for index in range(30):
        expected = np.asarray(source.load(index, 12)).transpose(2, 0, 1)
        assert (opened[index] == expected).all()


def test_they_are_decoded_once(tmp_path: Path) -> None:
    source = Counted(5)
    first = open_pixels(dataset(source), "test", 8, tmp_path)
    second = open_pixels(dataset(source), "test", 8, tmp_path)
    assert source.loads == 5
    assert (first == second).all()
    assert len(cached(tmp_path)) == 1


def test_another_size_or_data_set_is_another_file(tmp_path: Path) -> None:
    source = Counted(5)
    open_pixels(dataset(source), "test", 8, tmp_path)
    open_pixels(dataset(source), "test", 9, tmp_path)
    open_pixels(dataset(source, "cd" * 32), "test", 8, tmp_path)
    assert source.loads == 15
    assert len(cached(tmp_path)) == 3


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    np.save(path, np.zeros((6, 3, 8, 8), np.uint8))


def retype(path: Path) -> None:
    np.save(path, np.zeros((5, 3, 8, 8), np.float32))


def overwrite(path: Path) -> None:
    path.write_bytes(b"no array")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, lengthen, retype, overwrite, empty])
def test_a_file_that_is_not_whole_is_made_again(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    source = Counted(5)
    first = np.array(open_pixels(dataset(source), "test", 8, tmp_path))
    damage(cached(tmp_path)[0])
    second = open_pixels(dataset(source), "test", 8, tmp_path)
    assert source.loads == 10
    assert (first == second).all()


def test_a_damaged_list_of_broken_images_is_named_with_the_mend(tmp_path: Path) -> None:
    broken = dataset(Counted(5, broken=3))
    open_pixels(broken, "test", 8, tmp_path, 1)
    (listed,) = (path for path in cached(tmp_path) if path.suffix == ".json")
    listed.write_text('{"3": "ima')
    with pytest.raises(DataError, match=r"broken\.json' is damaged \(.*: delete it and '.*\.npy'"):
        open_pixels(broken, "test", 8, tmp_path, 1)


def test_a_broken_image_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="image 3 is broken"):
        open_pixels(dataset(Counted(5, broken=3)), "test", 8, tmp_path)
    assert cached(tmp_path) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(errno.ENOSPC, "full")])
def test_an_interruption_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    def interrupted(*_: object) -> None:
        raise stop

    monkeypatch.setattr(pixels, "_write_array", interrupted)
    expected = UserError if isinstance(stop, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        open_pixels(dataset(Counted(5)), "test", 8, tmp_path)
    assert cached(tmp_path) == []


def test_an_empty_split_has_no_pixels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no test images"):
        open_pixels(dataset(Counted(0)), "test", 8, tmp_path)
    assert list(tmp_path.iterdir()) == []
