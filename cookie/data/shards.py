"""WebDataset shards: ``.tar`` files of image and caption under one key.

A shard holds ``KEY.jpg`` (or another image) followed by ``KEY.txt``, one caption, or ``KEY.json``,
whose ``captions`` is a list of them or ``caption`` one. Shards are read in place, by offset. A
folder with the same files is read the same way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cookie.data.containers import Folder, Tar
from cookie.data.decoding import MAX_BYTES, decode, is_image
from cookie.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Sample:
    """An image file and its captions.

    Attributes:
        key: unique in a corpus.
        image: bytes of the file.
        suffix: of the image file, with its dot.
        captions: one or more.
    """

    key: str
    image: bytes
    captions: tuple[str, ...]
    suffix: str = ".jpg"

    def load(self, size: int) -> Image:
        """Return the image as RGB, ``size`` pixels a side.

        Raises:
            DataError: it is broken or absurdly large.
        """
        return decode(self.image, size, f"'{self.key}'")


@dataclass(frozen=True, slots=True)
class Member:
    """The files of one sample within a shard."""

    key: str
    image: str | None = None
    text: str | None = None


def read_shard(path: Path) -> Iterator[Sample]:
    """Yield a shard's samples in their order.

    Raises:
        DataError: the shard or a sample is broken.
    """
    tar = Tar(path)
    for member in members_of(tar):
        yield sample_of(tar, member)


def members_of(source: Tar | Folder) -> list[Member]:
    """Return a shard's samples, in order; files of other kinds are passed over."""
    found: dict[str, dict[str, str]] = {}
    for name in source.files():
        path = PurePosixPath(name)
        key = str(path.parent / path.name.split(".")[0])
        kind = "image" if is_image(name) else path.suffix.lower()
        if kind in {"image", ".txt", ".json"}:
            found.setdefault(key, {}).setdefault(kind, name)
    return [
        Member(key, files.get("image"), files.get(".json", files.get(".txt")))
        for key, files in found.items()
    ]


def sample_of(source: Tar | Folder, member: Member) -> Sample:
    """Return a sample with its image file and captions.

    Raises:
        DataError: one of them is missing, absurdly large or unreadable.
    """
    label = f"Sample '{member.key}' in '{source.path}'"
    if member.image is None or member.text is None:
        missing = "image" if member.image is None else "caption"
        raise DataError(f"{label} has no {missing}: get it again.")
    image, text = (_bytes(source, name, label) for name in (member.image, member.text))
    try:
        captions = _captions(text.decode(), member.text)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{label} has no readable caption ({reason}): get it again.") from None
    return Sample(member.key, image, captions, PurePosixPath(member.image).suffix)


def _bytes(source: Tar | Folder, name: str, label: str) -> bytes:
    if source.size(name) > MAX_BYTES:
        raise DataError(f"{label} is absurdly large: remove or replace it.")
    try:
        return source.read(name)
    except OSError as error:
        raise DataError(f"{label} cannot be read ({error}): get it again.") from None


def _captions(text: str, name: str) -> tuple[str, ...]:
    raw: Any = [text]
    if name.lower().endswith(".json"):
        facts = json.loads(text)
        raw = facts["captions"] if "captions" in facts else [facts["caption"]]
    if not isinstance(raw, list) or not all(isinstance(each, str) for each in raw):
        raise TypeError("captions are no list of strings")
    captions = tuple(" ".join(each.split()) for each in raw)
    if not captions or not all(captions):
        raise ValueError("a caption is empty")
    return captions
