"""The highest rate of random arrivals that a server answers within a limit.

A queue that grows needs time until the wait in it passes the limit: at a rate of 1.1 times what a
server can do, ten times the limit. Each probe therefore lasts many times the limit, and those that
come in its first moments, to an empty queue, are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from bench.measure.arrivals import ArrivalQueue, Clock
from bench.measure.load import LoadResult, Serve, closed_loop, open_loop
from bench.measure.percentiles import name, required_samples
from bench.measure.timer import Device

BEYOND = 1.2
"""Rates are tried up to so many times the closed loop's, whose few calls may have been slow."""


@dataclass(frozen=True, slots=True)
class SustainableRate:
    """The highest rate of arrivals at which a latency percentile keeps to a limit.

    Attributes:
        rate: requests a second at which they really arrived; None, with ``reason``, where no rate
            tried kept to the limit.
        share: of the percentile, 0.99 for p99; limit_s: its limit in seconds.
        capacity: answers a second of the closed loop.
        probes: every open loop that was run.
    """

    rate: float | None
    share: float
    limit_s: float
    capacity: float
    probes: tuple[LoadResult, ...]
    reason: str | None = None

    @property
    def at_least(self) -> bool:
        """Whether no higher rate missed the limit, so that ``rate`` is not known to be one."""
        rate = self.rate
        return rate is not None and all((one.offered_rate or 0.0) <= rate for one in self.probes)

    def to_dict(self) -> dict[str, Any]:
        """Return the rate and all probes, JSON-able."""
        return {
            "rate": self.rate,
            "at_least": self.at_least,
            "percentile": name(self.share),
            "limit_s": self.limit_s,
            "capacity": self.capacity,
            "reason": self.reason,
            "probes": [probe.to_dict() for probe in self.probes],
        }


def keeps(result: LoadResult, share: float, limit_s: float) -> bool:
    """Return whether the percentile is known and within ``limit_s``, and nobody turned away."""
    reached = result.percentile(share)
    complete = result.stopped is None and result.dropped == 0
    return complete and reached is not None and reached <= limit_s


def highest_rate(
    serve: Serve,
    *,
    limit_s: float,
    share: float = 0.99,
    device: Device = "cpu",
    max_batch: int = 1,
    steps: int = 7,
    probe_s: float = 6.0,
    longest_s: float = 15.0,
    settle_s: float = 1.0,
    search_s: float = math.inf,
    busy: LoadResult | None = None,
    seed: int = 0,
    clock: Clock | None = None,
) -> SustainableRate:
    """Search for the highest rate whose latency at ``share`` is at most ``limit_s``.

    Bisection between the lowest rate that gives enough answers for the percentile in
    ``longest_s`` and somewhat more than the closed loop's capacity. A probe that is certain to
    fail stops early. All together take at most ``search_s`` and the length of one probe.

    Args:
        serve: answers a batch of requests.
        limit_s: limit of the percentile, in seconds.
        share: which percentile.
        device: where ``serve`` works.
        max_batch: most requests answered at once.
        steps: probes; each halves what is uncertain.
        probe_s: length of what is counted of a probe, many times the limit, or that is hardly
            tested; more where the percentile needs more answers (p99: 459).
        longest_s: that length at the lowest rate; a probe is ended after twice its time.
        settle_s: length of a probe's uncounted beginning.
        search_s: no further probe begins once the probes have taken so long.
        busy: a closed loop of ``max_batch`` clients, where one has been run.
        seed: of the first probe's arrivals; each later one takes the next.
        clock: instead of the machine's.
    """
    needed = required_samples(share)
    busy = busy or closed_loop(
        serve,
        device=device,
        clients=max_batch,
        max_batch=max_batch,
        duration_s=probe_s,
        clock=clock,
    )
    probes = list[LoadResult]()

    def sustains(rate: float) -> bool:
        count, settling = max(needed, math.ceil(rate * probe_s)), math.ceil(rate * settle_s)
        probes.append(
            open_loop(
                serve,
                rate=rate,
                device=device,
                max_batch=max_batch,
                max_in_flight=max(1000, math.ceil(4 * limit_s * rate)),
                requests=count,
                settling=settling,
                duration_s=2 * (settling + count) / rate,
                seed=seed + len(probes),
                give_up=_hopeless((1 - share) * count, limit_s),
                clock=clock,
            )
        )
        return keeps(probes[-1], share, limit_s)

    floor, capacity = needed / longest_s, busy.served_rate
    turns = _until(search_s, steps if floor < capacity else 0, clock or Clock())
    rate = _bisect(sustains, floor, BEYOND * capacity, turns)
    reason = None if rate is not None else _reason(share, limit_s, floor, capacity)
    return SustainableRate(rate, share, limit_s, capacity, tuple(probes), reason)


def _until(seconds: float, most: int, clock: Clock) -> Iterator[int]:
    """Count up to ``most`` turns, none of which begins after ``seconds``."""
    start = clock.now()
    return takewhile(lambda _: clock.now() - start < seconds, range(most))


def _bisect(
    holds: Callable[[float], bool], low: float, high: float, turns: Iterable[int]
) -> float | None:
    """Return the highest probe in (low, high) that holds, one a turn; None if none does."""
    found = None
    for _ in turns:
        middle = (low + high) / 2.0
        if holds(middle):
            found = low = middle
        else:
            high = middle
    return found


def _hopeless(allowed: float, limit_s: float) -> Callable[[ArrivalQueue], str | None]:
    """Return what ends a probe that missed the limit; it looks at each latency once."""
    seen = late = 0

    def hopeless(queue: ArrivalQueue) -> str | None:
        nonlocal seen, late
        late += sum(latency > limit_s for latency in queue.latencies[seen:])
        seen = len(queue.latencies)
        return "certain to miss the limit" if late > allowed or queue.dropped else None

    return hopeless


def _reason(share: float, limit_s: float, floor: float, capacity: float) -> str:
    if capacity <= floor:
        return (
            f"too slow for a {name(share)}: {capacity:.3g} answers a second at most, and rates "
            f"are tried from {floor:.3g} on"
        )
    return f"no rate tried from {floor:.3g} a second on kept {name(share)} to {limit_s:g} s"
