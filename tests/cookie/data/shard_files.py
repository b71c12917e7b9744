"""Shards written for a test."""

from __future__ import annotations

import io
import itertools
import tarfile
from pathlib import Path

from cookie.data.shard_stream import Shards
from cookie.data.shard_writer import write_shards
from cookie.data.shards import Sample
from tests.cookie.data.photographs import jpeg


def sample(number: int) -> Sample:
    return Sample(f"k{number:03d}", jpeg(number % 200), (f"caption {number}", f"wörd {number}"))


def corpus(folder: Path, count: int = 23, size: int = 4) -> list[Path]:
    return write_shards((sample(number) for number in range(count)), folder, size)


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def keys(stream: Shards, count: int) -> list[str]:
    return [found.key for found in itertools.islice(stream, count)]
