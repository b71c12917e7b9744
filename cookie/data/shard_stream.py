"""Pre-training corpora of any size as an endless, shuffled stream of their shards' samples.

What comes next is a function of seed and position alone: a stream goes on anywhere without
reading what came before, and the same bytes always come in the same order.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cookie.data.containers import Tar
from cookie.data.shards import Member, Sample, members_of, sample_of
from cookie.errors import DataError, UserError

if TYPE_CHECKING:
    from cookie.interfaces import IndexArray

_LOG = logging.getLogger("cookie.shards")
_SHARDS, _SAMPLES = 0, 1
MIXED = 8
"""Shards whose samples are shuffled together; neighbors in a corpus resemble one another."""


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
        members = [(tar, member) for tar in map(Tar, paths) for member in members_of(tar)]
        epoch, group = self.position.epoch, self.position.group
        order = _shuffled(len(members), self.seed, epoch, group * self.world + self.rank, _SAMPLES)
        for place in range(self.position.sample, len(order)):
            tar, member = members[order[place]]
            sample = self._read(tar, member)
            self.position = Position(epoch, group, place + 1)
            if sample is not None:
                yield sample

    def _read(self, tar: Tar, member: Member) -> Sample | None:
        try:
            return sample_of(tar, member)
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


def _shuffled(count: int, seed: int, epoch: int, group: int, stream: int) -> IndexArray:
    """Return the numbers below ``count`` in the order of a counter-based generator (Philox)."""
    key, counter = np.array([seed, epoch], np.uint64), np.array([0, 0, group, stream], np.uint64)
    draws = np.random.Philox(counter=counter, key=key).random_raw(count)
    return np.argsort(draws, kind="stable").astype(np.int64)
