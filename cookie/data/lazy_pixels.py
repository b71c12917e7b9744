"""A split's pixels that are decoded when a batch asks for them, for corpora too large to keep."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cookie.data.dataset import RetrievalDataset
from cookie.data.pixels import cores, open_pixels
from cookie.data.shard_images import ShardImages
from cookie.interfaces import IndexArray

KEPT = 4 * 2**30
"""Bytes of decoded pixels up to which a split of shards is decoded once, as other splits are."""


class Pixels(Protocol):
    """Pixels (N, 3, S, S), uint8 RGB: an array, or what gives its rows like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, 3, S, S)."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: IndexArray | slice, /) -> NDArray[np.uint8]: ...


class LazyPixels:
    """Pixels of shards by index.

    The rows that were asked for last are kept: a training step asks for both of its views.

    Args:
        images: of the split; those with a fault are black.
        size: S, pixels a side.

    Raises:
        DataError: of indexing: an image has become unreadable since it was tried.
    """

    def __init__(self, images: ShardImages, size: int) -> None:
        self._images, self._size = images, size
        self._threads = ThreadPoolExecutor(cores())
        self._last: tuple[IndexArray, NDArray[np.uint8]] | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, 3, S, S)."""
        return len(self), 3, self._size, self._size

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: IndexArray | slice, /) -> NDArray[np.uint8]:
        """Return (B, 3, S, S), the caller's own."""
        indices: IndexArray = np.arange(len(self))[rows] if isinstance(rows, slice) else rows
        if self._last is None or not np.array_equal(self._last[0], indices):
            self._last = indices.copy(), self._decode(indices)
        return self._last[1].copy()

    def _decode(self, indices: IndexArray) -> NDArray[np.uint8]:
        pixels = np.zeros((len(indices), *self.shape[1:]), np.uint8)

        def fill(row: int) -> None:
            index = int(indices[row])
            if index not in self._images.faults:
                pixels[row] = np.asarray(self._images.load(index, self._size)).transpose(2, 0, 1)

        for _ in self._threads.map(fill, range(len(indices))):
            pass  # an error in a thread is raised here
        return pixels


def split_pixels(
    dataset: RetrievalDataset, split: str, image_size: int, cache_dir: Path, broken: int = 0
) -> Pixels:
    """Return the split's pixels: see :func:`cookie.data.pixels.open_pixels`.

    Those of shards are decoded in batch where they would fill more than :data:`KEPT` bytes.
    """
    images = unkept(dataset, split, image_size)
    if images is None:
        return open_pixels(dataset, split, image_size, cache_dir, broken)
    return LazyPixels(images, image_size)


def unkept(dataset: RetrievalDataset, split: str, image_size: int) -> ShardImages | None:
    """Return the images of a split of shards whose pixels are too many to keep, else None."""
    images = dataset.split(split).images
    if not isinstance(images, ShardImages) or 3 * image_size**2 * len(images) <= KEPT:
        return None
    return images
