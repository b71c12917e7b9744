"""The photographs of a data set folder: found by name, decoded when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from cookie.data.containers import Container, containers
from cookie.data.decoding import MAX_BYTES, decode
from cookie.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image


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
    _others: dict[str, list[Location]] = field(default_factory=dict)
    _folders: set[str] = field(default_factory=set)

    def add(self, location: Location) -> None:
        """Take in a file."""
        parts = PurePosixPath(location.name).parts
        for start in range(len(parts)):
            key = "/".join(parts[start:])
            if self._found.setdefault(key, location) is not location:
                self._others.setdefault(key, []).append(location)
            self._folders.add(key.rpartition("/")[0])

    def find(self, name: str) -> Location | None:
        """Return where ``name`` is; None if nowhere.

        Where there is no folder like the one in ``name``, as when all images lie in one, a file
        called like its last part will do. Several files of a name are read and compared: a copy
        changes nothing.

        Raises:
            DataError: there are several different ones.
        """
        folder, _, last = name.rpartition("/")
        key = name if name in self._found or folder in self._folders else last
        first = self._found.get(key)
        for other in self._others.get(key, ()):
            if first is not None and not _same(first, other):
                raise DataError(
                    f"Image '{name}' may be '{first.name}' in '{first.container.path}' or "
                    f"'{other.name}' in '{other.container.path}': remove the wrong one."
                )
        return first


def _same(one: Location, other: Location) -> bool:
    """Return whether two files hold the same bytes; what cannot be read is like nothing else."""
    if one.size != other.size:
        return False
    try:
        return one.container.read(one.name) == other.container.read(other.name)
    except OSError:
        return False


def index_images(folder: Path) -> ImageIndex:
    """Return the index of a data set folder.

    Raises:
        DataError: an archive is broken or compressed as a whole.
    """
    index = ImageIndex()
    for container in containers(folder):
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
