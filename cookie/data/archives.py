"""Image files in folders, ``.tar`` and ``.zip`` archives, read in place; nothing is unpacked."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cookie.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
MAX_PIXELS = 64_000_000
"""Larger images are refused: no photograph of a data set has so many, a decompression bomb does."""


class Container(Protocol):
    """One folder or archive; ``read`` may be called from several threads."""

    path: Path

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each image file by its name within."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's bytes, which may be fewer than it should have."""
        ...


@dataclass
class Folder:
    """A folder with image files at any depth."""

    path: Path

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each image file by its name within."""
        files = (file for file in self.path.rglob("*") if _is_image(file.name))
        return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in files}

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return (self.path / name).read_bytes()


@dataclass
class Tar:
    """An uncompressed tar archive: members are read by offset, without a shared file position."""

    path: Path
    _members: dict[str, tuple[int, int]] = field(default_factory=dict)
    _descriptor: int = -1

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each image file by its name within."""
        try:
            with tarfile.open(self.path, "r:") as archive:
                files = [member for member in archive if member.isreg() and _is_image(member.name)]
        except (tarfile.TarError, EOFError) as error:
            raise DataError(
                f"'{self.path}' is no whole tar file ({error}): get it again."
            ) from None
        self._members = {file.name: (file.offset_data, file.size) for file in files}
        self._descriptor = os.open(self.path, os.O_RDONLY)
        return {file.name: file.size for file in files}

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        offset, size = self._members[name]
        return os.pread(self._descriptor, size, offset)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


@dataclass
class Zip:
    """A zip archive."""

    path: Path
    _archive: zipfile.ZipFile | None = None

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each image file by its name within."""
        try:
            self._archive = zipfile.ZipFile(self.path)
        except zipfile.BadZipFile as error:
            raise DataError(
                f"'{self.path}' is no whole zip file ({error}): get it again."
            ) from None
        files = (file for file in self._archive.infolist() if _is_image(file.filename))
        return {file.filename: file.file_size for file in files}

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        if self._archive is None:
            self._archive = zipfile.ZipFile(self.path)
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError):  # CRC, cut off
            return b""

    def __del__(self) -> None:
        if self._archive is not None:
            self._archive.close()


class Location(NamedTuple):
    """Where an image file is."""

    container: Container
    name: str
    size: int


def find_images(folder: Path) -> dict[str, Location]:
    """Return all image files of a data set folder, in archives and in subfolders, by their names.

    A file is found under its path within the archive and under the end of that path at any
    depth, so ``val2014/a.jpg`` and ``a.jpg`` both find ``images/val2014/a.jpg``.
    """
    found: dict[str, Location] = {}
    for container in _containers(folder):
        for name, size in container.sizes().items():
            parts = PurePosixPath(name).parts
            for start in range(len(parts)):
                found.setdefault("/".join(parts[start:]), Location(container, name, size))
    return found


class ArchivedImages:
    """Photographs by index, decoded when asked for.

    Args:
        locations: where each image is, in the order of the split.
    """

    def __init__(self, locations: Sequence[Location]) -> None:
        self._locations = locations

    def __len__(self) -> int:
        return len(self._locations)

    def load(self, index: int, size: int) -> Image:
        """Return photograph ``index`` as RGB, squeezed to ``size`` pixels a side.

        Nothing is cropped, since a caption may speak of what is at the edge.

        Raises:
            DataError: the file is broken or the image absurdly large.
        """
        container, name, _ = self._locations[index]
        label = f"'{name}' in '{container.path}'"
        return decode(container.read(name), size, label)


def decode(data: bytes, size: int, label: str) -> Image:
    """Return the image in ``data`` as RGB, ``size`` pixels a side; ``label`` names it in errors.

    Raises:
        DataError: ``data`` is no whole image, or has more than ``MAX_PIXELS`` pixels.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        image.draft("RGB", (size, size))  # lets a JPEG decoder skip detail that is not needed
        picture = image.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"Image {label} is absurdly large: remove or replace it.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"Image {label} is broken ({error}): get it again.") from None
    if picture.size == (size, size):
        return picture
    return picture.resize((size, size), Image.Resampling.BICUBIC)


def _containers(folder: Path) -> list[Container]:
    """Return the folder's archives and image folders, in the order of their names."""
    found: list[Container] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            found.append(Folder(path))
        elif path.suffix == ".tar":
            found.append(Tar(path))
        elif path.suffix == ".zip":
            found.append(Zip(path))
        elif path.name.endswith((".tar.gz", ".tgz")):
            raise DataError(f"'{path}' is compressed and cannot be read in place: gunzip it.")
    return found


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)
