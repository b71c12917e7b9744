"""The highest rate of random arrivals that a server answers within a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from bench.measure.arrivals import Clock
from bench.measure.load import LoadResult, Serve, closed_loop, open_loop
from bench.measure.percentiles import name, required_samples
from bench.measure.timer import Device


@dataclass(frozen=True, slots=True)
class SustainableRate:
    """The highest rate of arrivals at which a latency percentile keeps to a limit.

    Attributes:
        rate: requests a second; None, with ``reason``, where no rate tried kept to the limit.
        share: of the percentile, 0.99 for p99; limit_s: its limit in seconds.
        capacity: answers a second of the closed loop, the most any rate can reach.
        probes: every open loop that was run.
    """

    rate: float | None
    share: float
    limit_s: float
    capacity: float
    probes: tuple[LoadResult, ...]
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the rate and all probes, JSON-able."""
        return {
            "rate": self.rate,
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
    requests: int = 1000,
    steps: int = 7,
    duration_s: float = 20.0,
    search_s: float = math.inf,
    busy: LoadResult | None = None,
    seed: int = 0,
    clock: Clock | None = None,
) -> SustainableRate:
    """Search for the highest rate whose latency at ``share`` is at most ``limit_s``.

    Bisection between the lowest rate that gives enough answers for the percentile in
    ``duration_s`` and the closed loop's capacity. A probe that is certain to fail stops early.

    Args:
        serve: answers a batch of requests.
        limit_s: limit of the percentile, in seconds.
        share: which percentile.
        device: where ``serve`` works.
        max_batch: most requests answered at once.
        requests: most arrivals a probe; at least enough for the percentile (459 for p99).
        steps: probes; each halves what is uncertain.
        duration_s: mean length of a probe at most; it is ended after twice that.
        search_s: no further probe begins once the probes have taken so long.
        busy: a closed loop of ``max_batch`` clients, where one has been run.
        seed: of the arrivals, the same in all probes.
        clock: instead of the machine's.
    """
    needed = required_samples(share)
    if requests < needed:
        raise ValueError(f"{name(share)} needs {needed} requests a probe, not {requests}")
    busy = busy or closed_loop(
        serve,
        device=device,
        clients=max_batch,
        max_batch=max_batch,
        requests=requests,
        duration_s=duration_s / 4,
        clock=clock,
    )
    probes = list[LoadResult]()

    def sustains(rate: float) -> bool:
        count = min(requests, max(needed, int(rate * duration_s)))
        probes.append(
            open_loop(
                serve,
                rate=rate,
                device=device,
                max_batch=max_batch,
                requests=count,
                duration_s=2 * duration_s,
                seed=seed,
                give_up=lambda result: _hopeless(result, (1 - share) * count, limit_s),
                clock=clock,
            )
        )
        return keeps(probes[-1], share, limit_s)

    floor, capacity = needed / duration_s, busy.served_rate
    turns = _until(search_s, steps if floor < capacity else 0, clock or Clock())
    rate = _bisect(sustains, floor, capacity, turns)
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


def _hopeless(result: LoadResult, allowed: float, limit_s: float) -> str | None:
    late = sum(latency > limit_s for latency in result.latencies)
    return "certain to miss the limit" if late > allowed or result.dropped else None


def _reason(share: float, limit_s: float, floor: float, capacity: float) -> str:
    if capacity <= floor:
        return (
            f"too slow for a {name(share)}: {capacity:.3g} answers a second at most, and rates "
            f"are tried from {floor:.3g} on"
        )
    return f"no rate tried from {floor:.3g} a second on kept {name(share)} to {limit_s:g} s"
