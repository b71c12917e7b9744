"""WebDataset shards: ``.tar`` files of image and caption under one key.

A shard holds ``KEY.jpg`` (or another image) followed by ``KEY.txt``, one caption, or ``KEY.json``,
whose ``captions`` is a list of them or ``caption`` one. Shards are read in place, by offset. A
folder with the same files is read the same way.

In a shard a key ends at the first dot of the file's name, as WebDataset has it, in a folder at the
last. Names that begin with a dot, as what macOS writes beside its files, are no samples.
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
    """The files of one sample within a shard; ``fault`` says why they are none, or nothing."""

    key: str
    image: str | None = None
    text: str | None = None
    fault: str = ""


_KINDS = {"image": "its image", ".txt": "its caption", ".json": "its captions"}
"""What files of a sample are called in errors, by their kind."""


def read_shard(path: Path) -> Iterator[Sample]:
    """Yield a shard's samples in their order.

    Raises:
        DataError: the shard or a sample is broken.
    """
    tar = Tar(path)
    for member in members_of(tar):
        yield sample_of(tar, member)


def members_of(source: Tar | Folder) -> list[Member]:
    """Return a shard's samples, in order; files of other kinds are passed over.

    A second image, or a second text of a kind, under one key is the sample's fault: which one is
    meant cannot be known.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for name in source.files():
        path = PurePosixPath(name)
        kind = "image" if is_image(name) else path.suffix.lower()
        if kind in _KINDS and not path.name.startswith("."):
            last = path.stem if isinstance(source, Folder) else path.name.split(".")[0]
            found.setdefault(str(path.parent / last), {}).setdefault(kind, []).append(name)
    rule = "" if isinstance(source, Folder) else " (in a shard a key ends at the first dot)"
    return [_member(key, files, rule) for key, files in found.items()]


def _member(key: str, files: dict[str, list[str]], rule: str) -> Member:
    first = {kind: names[0] for kind, names in files.items()}
    text = first.get(".json", first.get(".txt"))
    for kind, names in files.items():
        if len(names) > 1:
            fault = f"has '{names[0]}' and '{names[1]}' for {_KINDS[kind]}{rule}: rename one"
            return Member(key, first.get("image"), text, fault)
    return Member(key, first.get("image"), text)


def sample_of(source: Tar | Folder, member: Member) -> Sample:
    """Return a sample with its image file and captions.

    Raises:
        DataError: one of them is missing, there twice, absurdly large or unreadable.
    """
    label = f"Sample '{member.key}' in '{source.path}'"
    if member.fault:
        raise DataError(f"{label} {member.fault}.")
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
    "".join(captions).encode()  # JSON can hold half a character, which nothing else can
    return captions
