"""Pre-training corpora as WebDataset shards: ``.tar`` files of image and caption under one key.

A shard holds ``KEY.jpg`` (or another image) followed by ``KEY.txt``, one caption, or ``KEY.json``,
whose ``captions`` is a list of them or ``caption`` one. Shards are read in place, by offset, so
what comes next is a function of seed and position alone: a stream goes on anywhere without
reading what came before, and the same bytes always come in the same order.
"""

from __future__ import annotations

import io
import json
import logging
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from cookie.data.archives import MAX_BYTES, Tar, decode, is_image
from cookie.data.dataset import Split
from cookie.errors import DataError, UserError
from cookie.files import replacing

if TYPE_CHECKING:
    from PIL.Image import Image

    from cookie.interfaces import IndexArray

_LOG = logging.getLogger("cookie.shards")
_SHARDS, _SAMPLES = 0, 1
MIXED = 8
"""Shards whose samples are shuffled together; neighbors in a corpus resemble one another."""


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
class Position:
    """Where a stream is; plain numbers, for a checkpoint.

    Attributes:
        epoch: counts from 0.
        group: groups of shards done in this epoch.
        sample: samples of the group passed.
    """

    epoch: int = 0
    group: int = 0
    sample: int = 0


@dataclass(frozen=True, slots=True)
class _Member:
    """The files of one sample within a shard."""

    key: str
    image: str | None = None
    text: str | None = None


class Shards:
    """An endless, shuffled stream of a process's samples; iterate over it.

    Args:
        paths: of all shards; every process gets every ``world``-th of each epoch's order.
        seed: of the order.
        rank: of this process.
        world: number of processes.
        start: where to go on.
        broken: unreadable samples that are named, counted and left out; one more is an error.

    Attributes:
        position: behind the sample that came last.
        left_out: names of the unreadable samples so far.

    Raises:
        UserError: there are fewer shards than processes.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        start: Position = Position(),
        broken: int = 0,
    ) -> None:
        self.paths = sorted(paths)
        if len(self.paths) < world or not self.paths:
            raise UserError(
                f"{len(self.paths)} shards cannot be shared by {world} processes: "
                "write more and smaller ones."
            )
        self.seed, self.rank, self.world = seed, rank, world
        self.position, self.broken = start, broken
        self.left_out: list[str] = []

    def __iter__(self) -> Iterator[Sample]:
        """Yield samples without end.

        Raises:
            DataError: a shard is broken as a whole, none holds a sample, or more samples are
                unreadable than may be.
        """
        idle = 0  # groups since the last sample
        while True:
            groups = self._groups(self.position.epoch)
            for group in range(self.position.group, len(groups)):
                idle += 1
                for sample in self._samples(groups[group]):
                    idle = 0
                    yield sample
                if idle > 2 * len(groups):
                    raise DataError(f"'{self.paths[0].parent}' holds no samples: get it again.")
                self.position = Position(self.position.epoch, group + 1)
            self.position = Position(self.position.epoch + 1)

    def _groups(self, epoch: int) -> list[list[Path]]:
        order = _shuffled(len(self.paths), self.seed, epoch, 0, _SHARDS)[self.rank :: self.world]
        mine = [self.paths[index] for index in order]
        return [mine[start : start + MIXED] for start in range(0, len(mine), MIXED)]

    def _samples(self, paths: list[Path]) -> Iterator[Sample]:
        """Yield the group's samples from the position on, which moves along."""
        members = [(tar, member) for tar in map(Tar, paths) for member in _members(tar)]
        epoch, group = self.position.epoch, self.position.group
        order = _shuffled(len(members), self.seed, epoch, group * self.world + self.rank, _SAMPLES)
        for place in range(self.position.sample, len(order)):
            tar, member = members[order[place]]
            sample = self._read(tar, member)
            self.position = Position(epoch, group, place + 1)
            if sample is not None:
                yield sample

    def _read(self, tar: Tar, member: _Member) -> Sample | None:
        try:
            return _sample(tar, member)
        except DataError as error:
            self.leave_out(f"{member.key} in {tar.path.name}", error)
            return None

    def leave_out(self, name: str, error: DataError) -> None:
        """Name and count an unreadable sample, once; also for who finds its image broken.

        Raises:
            DataError: there are more than may be.
        """
        if name in self.left_out:  # it comes round every epoch
            return
        self.left_out.append(name)
        if len(self.left_out) > self.broken:
            raise DataError(
                f"{error} That makes {len(self.left_out)} unreadable samples where "
                f"{self.broken} may be."
            ) from None
        _LOG.warning("%s It is left out.", error)


def read_shard(path: Path) -> Iterator[Sample]:
    """Yield a shard's samples in their order.

    Raises:
        DataError: the shard or a sample is broken.
    """
    tar = Tar(path)
    for member in _members(tar):
        yield _sample(tar, member)


def write_shards(samples: Iterable[Sample], folder: Path, size: int = 1000) -> list[Path]:
    """Write ``folder/00000.tar``, ``00001.tar``, ...; equal samples give equal bytes.

    Args:
        samples: of the corpus; their keys are unique and have no dot or slash.
        folder: created where missing.
        size: samples a shard; the last holds what is left.

    Raises:
        UserError: ``size`` is no positive number, a key would not be found again, or the disk
            is full; a shard takes its name only when it is whole.
    """
    if size < 1:
        raise UserError(f"A shard of {size} samples is none: choose 1 or more.")
    paths: list[Path] = []
    waiting: list[Sample] = []
    for sample in samples:
        waiting.append(sample)
        if len(waiting) == size:
            paths.append(_write(waiting, folder, len(paths)))
            waiting = []
    return [*paths, _write(waiting, folder, len(paths))] if waiting else paths


def samples_of(split: Split, image_size: int) -> Iterator[Sample]:
    """Yield a split's images, ``image_size`` pixels a side as lossless PNG, with all captions."""
    starts = np.searchsorted(split.caption_image, np.arange(len(split) + 1))
    for index in range(len(split)):
        file = io.BytesIO()
        split.images.load(index, image_size).save(file, "PNG")
        captions = split.captions[starts[index] : starts[index + 1]]
        yield Sample(f"{index:09d}", file.getvalue(), captions, ".png")


def _write(samples: list[Sample], folder: Path, number: int) -> Path:
    path = folder / f"{number:05d}.tar"
    with (
        replacing(path) as temporary,
        tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for sample in samples:
            if not sample.key or set("./\\\0") & set(sample.key):
                raise UserError(
                    f"'{sample.key}' cannot be a sample's key: leave dots and slashes out."
                )
            captions = json.dumps({"captions": sample.captions}, ensure_ascii=False).encode()
            _add(tar, sample.key + sample.suffix, sample.image)
            _add(tar, f"{sample.key}.json", captions)
    return path


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # no time, owner or rights: equal content is equal bytes
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _members(tar: Tar) -> list[_Member]:
    """Return a shard's samples, in order; files of other kinds are passed over."""
    found: dict[str, dict[str, str]] = {}
    for name in tar.files():
        path = PurePosixPath(name)
        key = str(path.parent / path.name.split(".")[0])
        kind = "image" if is_image(name) else path.suffix.lower()
        if kind in {"image", ".txt", ".json"}:
            found.setdefault(key, {}).setdefault(kind, name)
    return [
        _Member(key, files.get("image"), files.get(".json", files.get(".txt")))
        for key, files in found.items()
    ]


def _sample(tar: Tar, member: _Member) -> Sample:
    label = f"Sample '{member.key}' in '{tar.path}'"
    if member.image is None or member.text is None:
        missing = "image" if member.image is None else "caption"
        raise DataError(f"{label} has no {missing}: get it again.")
    image, text = (_bytes(tar, name, label) for name in (member.image, member.text))
    try:
        captions = _captions(text.decode(), member.text)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{label} has no readable caption ({reason}): get it again.") from None
    return Sample(member.key, image, captions, PurePosixPath(member.image).suffix)


def _bytes(tar: Tar, name: str, label: str) -> bytes:
    if tar.size(name) > MAX_BYTES:
        raise DataError(f"{label} is absurdly large: remove or replace it.")
    try:
        return tar.read(name)
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


def _shuffled(count: int, seed: int, epoch: int, group: int, stream: int) -> IndexArray:
    """Return the numbers below ``count`` in the order of a counter-based generator (Philox)."""
    key, counter = np.array([seed, epoch], np.uint64), np.array([0, 0, group, stream], np.uint64)
    draws = np.random.Philox(counter=counter, key=key).random_raw(count)
    return np.argsort(draws, kind="stable").astype(np.int64)
