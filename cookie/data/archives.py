"""Image files in folders, ``.tar`` and ``.zip`` archives, read in place; nothing is unpacked."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cookie.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
MAX_PIXELS = 64_000_000
"""Larger images are refused: no photograph of a data set has so many, a decompression bomb does."""
MAX_BYTES = 256 * 2**20
"""Larger files are refused for the same reason."""


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
    """A folder with image files at any depth; names begin with the folder's own."""

    path: Path

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each image file by its name within."""
        return {name: self.size(name) for name in self._names() if is_image(name)}

    def files(self) -> dict[str, int]:
        """Return the bytes of each file by its name within, in the order of the names."""
        return {name: self.size(name) for name in self._names()}

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return (self.path.parent / name).read_bytes()

    def size(self, name: str) -> int:
        """Return a file's bytes in number."""
        return (self.path.parent / name).stat().st_size

    def place(self, name: str) -> tuple[str, int, int]:
        """Return a file's name again, offset 0 and its bytes in number; as of :class:`Tar`."""
        return name, 0, self.size(name)

    def _names(self) -> Iterator[str]:
        for parent, folders, files in os.walk(self.path, followlinks=True):
            folders.sort()
            outside = self.path.parent
            yield from (
                Path(parent, file).relative_to(outside).as_posix() for file in sorted(files)
            )


@dataclass
class Tar:
    """An uncompressed tar archive: members are read by offset, without a shared file position."""

    path: Path
    _members: dict[str, tuple[int, int]] = field(default_factory=dict)
    _descriptor: int = -1

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each image file by its name within."""
        return {name: size for name, size in self.files().items() if is_image(name)}

    def files(self) -> dict[str, int]:
        """Return the bytes of each file by its name within, in the archive's order.

        Links and devices are passed over: nothing outside the archive is ever read.

        Raises:
            DataError: the archive is broken or cut off.
        """
        try:
            with tarfile.open(self.path, "r:") as archive:
                files = [member for member in archive if member.isreg()]
        # tarfile lets other errors through where numbers or text in a header are no such thing
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise DataError(
                f"'{self.path}' is no whole tar file ({error}): get it again."
            ) from None
        end = self.path.stat().st_size
        whole = all(file.offset_data + file.size <= end for file in files)
        if end % tarfile.BLOCKSIZE or not whole:  # tarfile takes some cuts for the end
            raise DataError(f"'{self.path}' is cut off: get it again.")
        self._members = {file.name: (file.offset_data, file.size) for file in files}
        if self._descriptor < 0:
            self._descriptor = os.open(self.path, os.O_RDONLY)
        return {file.name: file.size for file in files}

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        offset, size = self._members[name]
        return os.pread(self._descriptor, size, offset)

    def size(self, name: str) -> int:
        """Return a file's bytes in number."""
        return self._members[name][1]

    def place(self, name: str) -> tuple[str, int, int]:
        """Return where a file is: "" for the archive itself, its offset, its bytes in number."""
        return "", *self._members[name]

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
        files = (file for file in self._archive.infolist() if is_image(file.filename))
        return {file.filename: file.file_size for file in files}

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        if self._archive is None:
            self._archive = zipfile.ZipFile(self.path)
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise OSError(str(error)) from None  # a wrong sum, cut off, encrypted

    def __del__(self) -> None:
        if self._archive is not None:
            self._archive.close()


class Location(NamedTuple):
    """Where an image file is."""

    container: Container
    name: str
    size: int


@dataclass
class ImageIndex:
    """All image files of a data set folder, in archives and in subfolders.

    A file is found under its path and under the end of that path at any depth, so ``val2014/a.jpg``
    and ``a.jpg`` both find ``images/val2014/a.jpg``.
    """

    _found: dict[str, Location] = field(default_factory=dict)
    _ambiguous: dict[str, Location] = field(default_factory=dict)

    def add(self, location: Location) -> None:
        """Take in a file; a copy of the same size under the same name changes nothing."""
        parts = PurePosixPath(location.name).parts
        for start in range(len(parts)):
            key = "/".join(parts[start:])
            if self._found.setdefault(key, location).size != location.size:
                self._ambiguous[key] = location

    def find(self, name: str) -> Location | None:
        """Return where ``name``, or else a file called like its last part, is; None if nowhere.

        Raises:
            DataError: there are several different ones.
        """
        key = name if name in self._found else PurePosixPath(name).name
        if key in self._ambiguous:
            first, second = self._found[key], self._ambiguous[key]
            raise DataError(
                f"Image '{name}' may be '{first.name}' in '{first.container.path}' or "
                f"'{second.name}' in '{second.container.path}': remove the wrong one."
            )
        return self._found.get(key)


def index_images(folder: Path) -> ImageIndex:
    """Return the index of a data set folder.

    Raises:
        DataError: an archive is broken or compressed as a whole.
    """
    index = ImageIndex()
    for container in _containers(folder):
        for name, size in container.sizes().items():
            index.add(Location(container, name, size))
    return index


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
        data, label = self._file(index)
        return decode(data, size, label)

    def original(self, index: int) -> Image:
        """Return photograph ``index`` as RGB in its own shape.

        Raises:
            DataError: the file is broken or the image absurdly large.
        """
        data, label = self._file(index)
        return decode(data, None, label)

    def _file(self, index: int) -> tuple[bytes, str]:
        """Return a photograph's bytes, and what to call it in errors."""
        container, name, file_size = self._locations[index]
        label = f"'{name}' in '{container.path}'"
        if file_size > MAX_BYTES:
            raise DataError(f"Image {label} is absurdly large: remove or replace it.")
        try:
            return container.read(name), label
        except OSError as error:
            raise DataError(f"Image {label} cannot be read ({error}): get it again.") from None


def decode(data: bytes, size: int | None, label: str) -> Image:
    """Return the image in ``data`` as RGB.

    Args:
        data: a file's bytes.
        size: pixels a side that it is squeezed to; None for its own shape.
        label: names it in errors.

    Raises:
        DataError: ``data`` is no whole image, or has more than ``MAX_PIXELS`` pixels.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if size is not None:
            image.draft("RGB", (size, size))  # lets a JPEG decoder skip detail that is not needed
        picture = image.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"Image {label} is absurdly large: remove or replace it.") from None
    except UnidentifiedImageError:
        raise DataError(f"Image {label} is no image of a known kind: get it again.") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:
        raise DataError(f"Image {label} is broken ({error}): get it again.") from None
    if size is None or picture.size == (size, size):
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


def is_image(name: str) -> bool:
    """Return whether a file of this name should be an image."""
    return name.lower().endswith(IMAGE_SUFFIXES)
