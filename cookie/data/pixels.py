"""All images of a split as one array on disk, decoded or drawn once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cookie.data.dataset import ImageSource, RetrievalDataset
from cookie.files import replacing, require_space

VERSION = 1
"""To be raised whenever decoding or resizing changes."""
CHUNK = 128
"""Images decoded at a time; bounds the memory to CHUNK * 3 * S * S bytes."""


def open_pixels(
    dataset: RetrievalDataset, split: str, image_size: int, cache_dir: Path
) -> NDArray[np.uint8]:
    """Return the split's pixels (N, 3, S, S), uint8 RGB, as a read-only memory map.

    They are decoded on the first call, into a file under ``cache_dir`` named by data set hash,
    split and size; it takes its name only when it is whole.

    Raises:
        DataError: an image is missing or broken.
        UserError: no space is left.
    """
    source = dataset.split(split).images
    shape = (len(source), 3, image_size, image_size)
    name = f"{dataset.name}-{dataset.sha256[:12]}-{split}-{image_size}-v{VERSION}.npy"
    path = cache_dir / "pixels" / name
    if not _is_whole(path, shape):
        _write(path, source, shape, f"{dataset.name} {split} pixels")
    pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return pixels


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    """Return whether ``path`` holds a uint8 array of ``shape``, to the last byte."""
    if not path.is_file():
        return False
    try:
        found = np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError):  # cut off, or something else
        return False
    return bool(found.shape == shape and found.dtype == np.uint8)


def _write(path: Path, source: ImageSource, shape: tuple[int, ...], label: str) -> None:
    require_space(path.parent, int(np.prod(shape)))
    with replacing(path) as part, part.open("wb") as file:
        _write_array(file, source, shape, label)


def _write_array(file: IO[bytes], source: ImageSource, shape: tuple[int, ...], label: str) -> None:
    """Write in order instead of through a memory map, which a full disk would kill with SIGBUS."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for image in tqdm(_decode(source, shape[-1]), label, shape[0], unit="image", leave=False):
        file.write(image.tobytes())


def _decode(source: ImageSource, size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield each image (3, S, S) in order, decoded by as many threads as there are cores."""

    def load(index: int) -> NDArray[np.uint8]:
        return np.asarray(source.load(index, size), dtype=np.uint8).transpose(2, 0, 1)

    with ThreadPoolExecutor(_cores()) as threads:
        for start in range(0, len(source), CHUNK):
            yield from threads.map(load, range(start, min(start + CHUNK, len(source))))


def _cores() -> int:
    """Return the cores that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
