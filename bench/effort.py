"""How much time a measurement may take; written into the protocol of every record."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

OWN_PROCESS, SHARED_PROCESS = "its own", "the runner's"
"""Whose process a cell is timed in, as its protocol says it."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """What all efforts have in common: a protocol states them."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Effort(Budgets):
    """Time budgets, in seconds unless said otherwise.

    Attributes:
        repeat: full evaluations of a dual encoder are repeated, two to five times, until then.
        part: length of each timed part where not all pairs are scored. parts: how many.
        whole_cpu, whole_cuda: all pairs are scored where that takes no longer.
        latency: of each of the two interleaved runs. rounds: most rounds of the first one.
        stretch: length of a stretch of a throughput. repetitions: stretches a batch size.
        call: a batch size is tried where its queries, one by one, would take no longer.
        memory: until the process that measures memory is ended.
    """

    repeat: float = 30.0
    part: float = 4.0
    parts: int = 5
    whole_cpu: float = 60.0
    whole_cuda: float = 600.0
    latency: float = 30.0
    rounds: int = 60
    stretch: float = 0.3
    repetitions: int = 5
    call: float = 2.0
    memory: float = 900.0


SMOKE = Effort(
    repeat=0.1, part=0.1, parts=2, latency=2.0, rounds=10, stretch=0.02, repetitions=2, call=0.1
)
"""Enough to see that everything runs."""


def effort_of(preset: str) -> Effort:
    """Return the effort that suits a preset."""
    return SMOKE if preset == "smoke" else Effort()


def process_of(preset: str) -> str:
    """Return whose process a cell is timed in: its own, unless the times mean nothing anyway."""
    return SHARED_PROCESS if preset == "smoke" else OWN_PROCESS


@dataclass(frozen=True, slots=True)
class TurnsEffort(Budgets):
    """Budgets of full evaluations in turns; apart from :class:`Effort`, whose records stay valid.

    Attributes:
        seconds: no further round begins after so many. least, most: rounds; six are the fewest of
            whose median a 95 % interval is known.
        part: seconds of a pair scorer's part of the pairs in each round.
    """

    seconds: float = 120.0
    least: int = 6
    most: int = 15
    part: float = 4.0


SMOKE_TURNS = TurnsEffort(seconds=1.0, least=2, most=3, part=0.05)


def turns_effort_of(preset: str) -> TurnsEffort:
    """Return the effort of full evaluations in turns that suits a preset."""
    return SMOKE_TURNS if preset == "smoke" else TurnsEffort()


@dataclass(frozen=True, slots=True)
class GrowthEffort(Budgets):
    """Time budgets at one gallery size; apart from :class:`Effort`, whose records they leave valid.

    Attributes:
        rounds_s: of the interleaved rounds; a system whose query takes more than half of it is
            measured on a part of the gallery and extrapolated.
        part_s: length of such a query on a part. rounds: most rounds.
        long_s: of the long run that a p99 needs; systems that do not fit are left out of it.
        call_s: no larger batch is tried once a call takes longer.
        stretch_s: length of a stretch of a throughput. repetitions: stretches a batch size.
        memory_s: until a process that measures memory is ended.
    """

    rounds_s: float = 120.0
    part_s: float = 4.0
    rounds: int = 60
    long_s: float = 200.0
    call_s: float = 0.5
    stretch_s: float = 0.3
    repetitions: int = 5
    memory_s: float = 900.0


FULL_GROWTH = GrowthEffort(rounds_s=600.0, part_s=20.0, long_s=600.0, call_s=2.0)
SMOKE_GROWTH = GrowthEffort(
    rounds_s=1.5,
    part_s=0.05,
    rounds=8,
    long_s=0.5,
    call_s=0.02,
    stretch_s=0.02,
    repetitions=2,
)


def growth_effort_of(preset: str) -> GrowthEffort:
    """Return the effort at one gallery size; ``COOKIE_BENCH=full`` asks for ten minutes each."""
    if preset == "smoke":
        return SMOKE_GROWTH
    return FULL_GROWTH if os.environ.get("COOKIE_BENCH") == "full" else GrowthEffort()


LIMIT_S = 0.1
"""What p99 may be at the highest rate of arrivals, in seconds; the same for all systems."""
TESTING = 50
"""An open loop of fewer times the limit is too short to tell whether a system keeps to it."""
MAX_BATCH = 16
"""Requests that a batching server answers at once, at most."""


@dataclass(frozen=True, slots=True)
class LoadEffort(Budgets):
    """Budgets of one system under load; apart from :class:`Effort`, whose records stay valid.

    Attributes:
        limit_s: what p99 may be. max_batch: most waiting requests that are answered at once.
        closed_s: length of each closed loop. requests: most requests of one.
        probe_s: length of an open loop: many times the limit, or a queue that grows would end
            before anyone in it has waited so long. longest_s: at the lowest rate that is tried.
        settle_s: of each open loop before that, not counted.
        steps: most open loops. search_s: no further one begins after so many seconds of them, so
            that a cell takes a minute and a half at most.
        call_s: batches are tried where their queries, one by one, would take no longer.
    """

    limit_s: float = LIMIT_S
    max_batch: int = MAX_BATCH
    closed_s: float = 3.0
    requests: int = 500
    probe_s: float = 6.0
    longest_s: float = 15.0
    settle_s: float = 1.0
    steps: int = 7
    search_s: float = 60.0
    call_s: float = 2.0


SMOKE_LOAD = LoadEffort(
    closed_s=0.2, requests=460, probe_s=0.5, longest_s=3.0, settle_s=0.1, steps=2, search_s=0.5
)


def load_effort_of(preset: str) -> LoadEffort:
    """Return the effort under load that suits a preset."""
    return SMOKE_LOAD if preset == "smoke" else LoadEffort()
