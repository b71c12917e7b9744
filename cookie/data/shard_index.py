"""What a shard or a folder of captioned photographs holds: found out once, kept in a file.

Every image is decoded for that, small, so that one which cannot be is known before training
begins, and a training reads images by offset without looking at anything else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from cookie.data.containers import Folder, Tar
from cookie.data.decoding import decode
from cookie.data.pixels import cores
from cookie.data.shards import Member, members_of, sample_of
from cookie.errors import DataError
from cookie.files import replacing

VERSION = 2
"""To be raised whenever a change here changes what is kept."""
CHECKED = 64
"""Pixels a side of the trial: a JPEG is read to its end and most of its arithmetic saved."""


class Entry(NamedTuple):
    """A sample.

    Attributes:
        key: of the sample, unique in its shard or folder.
        file: name of the image file within a folder; "" where the shard is the file.
        offset: of the image within the file.
        size: bytes of the image.
        captions: none where they cannot be read.
        fault: why the sample cannot be used, one sentence; "" where it can.
    """

    key: str
    file: str
    offset: int
    size: int
    captions: tuple[str, ...]
    fault: str


def index_of(source: Tar | Folder, cache_dir: Path) -> list[Entry]:
    """Return a shard's or a folder's samples in their order.

    Args:
        source: read where it is not known yet, or has changed by name, size or time.
        cache_dir: gets one JSON file a shard or folder.

    Raises:
        DataError: a shard is broken as a whole.
        UserError: the disk is full.
    """
    path = cache_dir / f"{source.path.stem}-{_fingerprint(source)}.json"
    known = _read(path)
    if known is not None:
        return known
    found = list(_entries(source))
    with replacing(path) as part:
        part.write_text(json.dumps(found), encoding="utf-8")  # names may be no UTF-8
    return found


def _read(path: Path) -> list[Entry] | None:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Entry(*row)._replace(captions=tuple(row[4])) for row in rows]
    except (OSError, ValueError, TypeError, IndexError):  # not there, or not what was written
        return None


def _fingerprint(source: Tar | Folder) -> str:
    paths = [source.path]
    if isinstance(source, Folder):
        paths = [source.path.parent / name for name in source.files()]
    states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    facts = [VERSION, str(source.path.resolve()), states]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _entries(source: Tar | Folder) -> Iterator[Entry]:
    """Yield the samples, tried by as many threads as there are cores."""
    members = members_of(source)
    if isinstance(source, Folder):  # a note beside the photographs is no sample without its image
        members = [member for member in members if member.image is not None]
    with ThreadPoolExecutor(cores()) as threads:
        yield from threads.map(lambda member: _entry(source, member), members)


def _entry(source: Tar | Folder, member: Member) -> Entry:
    file, offset, size = ("", 0, 0) if member.image is None else source.place(member.image)
    captions: tuple[str, ...] = ()
    fault = ""
    try:
        sample = sample_of(source, member)
        captions = sample.captions
        decode(sample.image, CHECKED, f"'{member.key}' in '{source.path}'")
    except DataError as error:
        fault = str(error)
    return Entry(member.key, file, offset, size, captions, fault)
