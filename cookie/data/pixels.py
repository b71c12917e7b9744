"""All images of a split as one array on disk, decoded or drawn once."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cookie.arrays import open_array
from cookie.data.dataset import ImageSource, RetrievalDataset
from cookie.errors import DataError
from cookie.files import replacing, require_space, write_json

_LOG = logging.getLogger("cookie.data")

VERSION = 2
"""To be raised whenever decoding or resizing changes."""
CHUNK = 128
"""Images decoded at a time; bounds the memory to CHUNK * 3 * S * S bytes."""


def open_pixels(
    dataset: RetrievalDataset, split: str, image_size: int, cache_dir: Path, broken: int = 0
) -> NDArray[np.uint8]:
    """Return the split's pixels (N, 3, S, S), uint8 RGB, as a read-only memory map.

    They are decoded on the first call, into a file under ``cache_dir`` named by data set hash,
    split and size; it takes its name only when it is whole.

    Args:
        dataset: any.
        split: of it.
        image_size: S, pixels a side.
        cache_dir: for the file.
        broken: images that may be unreadable; they are named in the log and black.

    Raises:
        DataError: more images than that are missing or broken.
        UserError: no space is left.
    """
    source = dataset.split(split).images
    shape = (len(source), 3, image_size, image_size)
    path = _path(dataset, split, image_size, cache_dir)
    pixels = open_array(path, shape, np.uint8)
    if pixels is None:
        found = Broken(broken)
        with replacing(path) as part:
            _write(part, source, shape, f"{dataset.name} {split} pixels", found)
            _write_list(path, found)  # first: an array without it would seem whole
        pixels = np.load(path, mmap_mode="r")
    Broken(broken, _read_list(path)).check()
    return pixels


def broken_images(
    dataset: RetrievalDataset, split: str, image_size: int, cache_dir: Path, broken: int = 0
) -> list[int]:
    """Return the indices of the images that :func:`open_pixels` found unreadable, ascending.

    Raises:
        DataError: they are more than ``broken``.
    """
    listed = _read_list(_path(dataset, split, image_size, cache_dir))
    Broken(broken, listed).check()
    return sorted(map(int, listed))


class Broken:
    """The unreadable images of a split, counted against a limit.

    Args:
        limit: how many there may be.
        listed: index, as text, -> what is wrong with it; those known so far.
    """

    def __init__(self, limit: int, listed: dict[str, str] | None = None) -> None:
        self.limit = limit
        self.listed = {} if listed is None else listed

    def add(self, index: int, error: DataError) -> None:
        """Count image ``index``; raise :class:`DataError` where it is one too many."""
        self.listed[str(index)] = str(error)
        self.check()
        _LOG.warning("%s It is left out.", error)

    def check(self) -> None:
        """Raise :class:`DataError` where there are more than may be."""
        if len(self.listed) <= self.limit:
            return
        last = list(self.listed.values())[-1]
        if not self.limit:
            raise DataError(last)
        raise DataError(f"{last} It is one more than the {self.limit} of train.broken_images.")


def _path(dataset: RetrievalDataset, split: str, image_size: int, cache_dir: Path) -> Path:
    name = f"{dataset.name}-{dataset.sha256[:12]}-{split}-{image_size}-v{VERSION}.npy"
    return cache_dir / "pixels" / name


def _list(path: Path) -> Path:
    return path.with_suffix(".broken.json")


def _write_list(path: Path, broken: Broken) -> None:
    if broken.listed:
        write_json(_list(path), broken.listed)
    else:
        _list(path).unlink(missing_ok=True)


def _read_list(path: Path) -> dict[str, str]:
    """Return what is listed beside the array; where all images are whole there is no list."""
    file = _list(path)
    try:
        found: dict[str, str] = json.loads(file.read_text()) if file.is_file() else {}
    except ValueError as error:
        raise DataError(
            f"'{file}' is damaged ({error}): delete it and '{path.name}' beside it; both are made "
            "again."
        ) from None
    return found


def _write(
    path: Path, source: ImageSource, shape: tuple[int, ...], label: str, broken: Broken
) -> None:
    require_space(path.parent, int(np.prod(shape)))
    with path.open("wb") as file:
        images = _decode(source, shape[-1], broken)
        _write_array(file, tqdm(images, label, shape[0], unit="image", leave=False), shape)


def _write_array(
    file: IO[bytes], images: Iterable[NDArray[np.uint8]], shape: tuple[int, ...]
) -> None:
    """Write in order instead of through a memory map, which a full disk would kill with SIGBUS."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for image in images:
        file.write(image.tobytes())


def _decode(source: ImageSource, size: int, broken: Broken) -> Iterator[NDArray[np.uint8]]:
    """Yield each image (3, S, S) in order, decoded by as many threads as there are cores."""

    def load(index: int) -> NDArray[np.uint8] | DataError:
        try:
            return np.asarray(source.load(index, size), dtype=np.uint8).transpose(2, 0, 1)
        except DataError as error:
            return error

    with ThreadPoolExecutor(cores()) as threads:
        for start in range(0, len(source), CHUNK):
            rows = range(start, min(start + CHUNK, len(source)))
            for index, image in zip(rows, threads.map(load, rows), strict=True):
                if isinstance(image, DataError):
                    broken.add(index, image)
                    yield np.zeros((3, size, size), np.uint8)
                else:
                    yield image


def cores() -> int:
    """Return the cores that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
