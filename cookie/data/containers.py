"""Files in folders, ``.tar`` and ``.zip`` archives, read in place; nothing is unpacked."""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cookie.data.decoding import is_image
from cookie.errors import DataError


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
    """A folder with image files at any depth; names begin with the folder's own.

    Links to folders are followed, but no folder is read twice: a link may lead back.
    """

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
        outside = self.path.parent
        seen: set[tuple[int, int]] = set()
        for parent, folders, files in os.walk(self.path, followlinks=True):
            found = Path(parent).stat()
            if (found.st_dev, found.st_ino) in seen:
                folders.clear()
                continue
            seen.add((found.st_dev, found.st_ino))
            folders.sort()
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


def containers(folder: Path) -> list[Container]:
    """Return the folder's archives and image folders, in the order of their names.

    Those whose names begin with a dot are none: a system's, or a viewer's.
    """
    found: list[Container] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            found.append(Folder(path))
        elif path.suffix == ".tar":
            found.append(Tar(path))
        elif path.suffix == ".zip":
            found.append(Zip(path))
        elif path.name.endswith((".tar.gz", ".tgz")):
            raise DataError(f"'{path}' is compressed and cannot be read in place: gunzip it.")
    return found
