"""Images of shards, or of a folder, read by offset when asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cookie.data.decoding import decode
from cookie.errors import DataError
from cookie.interfaces import IndexArray

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class ShardImages:
    """Images by index; safe to call from several threads, with no file kept open.

    An image takes 20 bytes here besides its name.

    Attributes:
        names: (images,) as the split has them.
        files: that images are in.
        file: (images,) which of ``files`` an image is in.
        offsets: (images,) first byte in the file.
        sizes: (images,) bytes.
        faults: index -> why an image is not to be used.
    """

    names: Sequence[str]
    files: Sequence[Path]
    file: NDArray[np.int32]
    offsets: IndexArray
    sizes: IndexArray
    faults: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int, size: int) -> Image:
        """Return image ``index`` as RGB, squeezed to ``size`` pixels a side.

        Raises:
            DataError: it is broken, absurdly large, has no captions, or its file has changed.
        """
        return decode(self._bytes(index), size, self._label(index))

    def original(self, index: int) -> Image:
        """Return image ``index`` as RGB in its own shape; raises as :meth:`load` does."""
        return decode(self._bytes(index), None, self._label(index))

    def _label(self, index: int) -> str:
        return f"'{self.names[index]}' in '{self._file(index)}'"

    def _file(self, index: int) -> Path:
        return self.files[int(self.file[index])]

    def _bytes(self, index: int) -> bytes:
        if index in self.faults:
            raise DataError(self.faults[index])
        try:
            with self._file(index).open("rb") as file:
                file.seek(int(self.offsets[index]))
                return file.read(int(self.sizes[index]))
        except OSError as error:
            raise DataError(
                f"Image {self._label(index)} cannot be read ({error}): get it again."
            ) from None
