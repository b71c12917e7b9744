"""A folder of photographs as a corpus without captions."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cookie.data.archives import ArchivedImages, Location
from cookie.data.containers import Folder
from cookie.errors import DataError, UserError
from cookie.interfaces import ImageBatch, IndexArray, TextBatch, TextView

_LOG = logging.getLogger("cookie.photos.corpus")


class PhotoCorpus:
    """All images in a folder, at any depth, decoded as they are asked for.

    A photograph that cannot be read is named in the log and given as black.

    Args:
        folder: with image files.
        image_size: S, pixels a side.
        device: where batches are wanted.

    Attributes:
        paths: of the images, in order.
        broken: indices of those that could not be read, so far.

    Raises:
        UserError: there is no such folder, or no image in it.
    """

    captions: Sequence[str] = ()

    def __init__(self, folder: Path, image_size: int, device: torch.device | str = "cpu") -> None:
        if not folder.is_dir():
            raise UserError(f"There is no folder '{folder}': name one with images in it.")
        container = Folder(folder.resolve())
        locations = [Location(container, *entry) for entry in sorted(container.sizes().items())]
        if not locations:
            raise UserError(f"'{folder}' holds no images: name a folder with JPEG or PNG files.")
        self.paths = [folder.resolve().parent / location.name for location in locations]
        self.broken: list[int] = []
        self.caption_image: IndexArray = np.empty(0, np.int64)
        self._images, self._size, self._device = ArchivedImages(locations), image_size, device

    @property
    def image_count(self) -> int:
        """Number of images, broken ones included."""
        return len(self.paths)

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return the images at ``indices`` (B,) as uint8; ``generator`` changes nothing."""
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            pixels = np.stack(list(threads.map(self._load, indices.tolist())))
        return ImageBatch(pixels=torch.from_numpy(pixels)).to(self._device)

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """There are no captions to return."""
        raise IndexError("photographs have no captions")

    def _load(self, index: int) -> NDArray[np.uint8]:
        try:
            image = self._images.load(index, self._size)
        except DataError as error:
            _LOG.warning("%s It is left out.", error)
            self.broken.append(index)
            return np.zeros((3, self._size, self._size), np.uint8)
        return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)
