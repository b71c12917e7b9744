"""How many items a second go through, measured over batch sizes and never derived from latency."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bench.measure.percentiles import Interval, median_interval
from bench.measure.timer import Device, Run, Timer, timer_for
from cookie.shortage import is_shortage, tell_halved


@dataclass(frozen=True, slots=True)
class ThroughputPoint:
    """The rate at one batch size.

    Attributes:
        batch_size: items a call.
        calls: calls of one repetition, queued without waiting in between.
        seconds: wall time of each repetition, from an idle device to an idle device.
        reason: why there are no ``seconds``, where there are none.
    """

    batch_size: int
    calls: int
    seconds: tuple[float, ...]
    reason: str | None = None

    @property
    def rates(self) -> tuple[float, ...]:
        """Items a second of each repetition."""
        return tuple(self.batch_size * self.calls / taken for taken in self.seconds)

    @property
    def items_per_second(self) -> float | None:
        """Median over the repetitions; None where nothing could be measured."""
        return statistics.median(self.rates) if self.seconds else None

    @property
    def interval(self) -> Interval | None:
        """95 % interval of the median; None below six repetitions."""
        return median_interval(self.rates)

    def to_dict(self) -> dict[str, Any]:
        """Return rate, interval and raw times, JSON-able."""
        return {
            "batch_size": self.batch_size,
            "calls": self.calls,
            "seconds": list(self.seconds),
            "items_per_second": self.items_per_second,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class ThroughputCurve:
    """Rates over batch sizes, in the order measured."""

    points: tuple[ThroughputPoint, ...]

    @property
    def best(self) -> ThroughputPoint | None:
        """The point of the highest rate; None where no batch size could be measured."""
        measured = [point for point in self.points if point.seconds]
        return max(measured, key=lambda point: statistics.median(point.rates), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return all points and the best one's batch size and rate."""
        best = self.best
        return {
            "points": [point.to_dict() for point in self.points],
            "best_batch_size": None if best is None else best.batch_size,
            "items_per_second": None if best is None else best.items_per_second,
        }


def measure_throughput(
    prepare: Callable[[int], Run],
    batch_sizes: Iterable[int],
    *,
    device: Device = "cpu",
    repetitions: int = 7,
    seconds: float = 0.5,
    timer: Timer | None = None,
) -> ThroughputCurve:
    """Measure items a second over ``batch_sizes``.

    Args:
        prepare: returns, for a batch size, the work on one batch of it.
        batch_sizes: in rising order; where the memory runs out, that size and all larger ones
            are kept as points without a rate, and its halves are tried down to what was measured.
        device: where the work runs.
        repetitions: timed stretches of each size.
        seconds: least length of a stretch; at least one call.
        timer: instead of the device's own.
    """
    clock, points, largest = timer or timer_for(device), list[ThroughputPoint](), 0

    def fits(size: int) -> bool:
        try:
            points.append(_point(prepare(size), size, repetitions, seconds, clock))
        except (RuntimeError, MemoryError) as error:
            if not is_shortage(error):
                raise
            points.append(_too_large(size, size))
            return False
        return True

    sizes = deque(batch_sizes)
    while sizes and fits(sizes[0]):
        largest = sizes.popleft()
    failed = sizes.popleft() if sizes else 0
    half = failed
    while half // 2 > largest and not fits(half := tell_halved(half, "items")):
        pass
    points.extend(_too_large(size, failed) for size in sizes)
    return ThroughputCurve(tuple(points))


def _too_large(size: int, failed: int) -> ThroughputPoint:
    return ThroughputPoint(size, 0, (), f"out of memory at batch size {failed}")


def _point(run: Run, size: int, repetitions: int, seconds: float, timer: Timer) -> ThroughputPoint:
    """Measure one batch size, with as many calls a stretch as fill ``seconds``."""
    timer.seconds(run)  # set-up and compilation
    calls = _calls(run, seconds, timer)

    def stretch() -> None:
        for _ in range(calls):
            run()

    taken = tuple(timer.seconds(stretch) for _ in range(repetitions))
    return ThroughputPoint(size, calls, taken)


def _calls(run: Run, seconds: float, timer: Timer) -> int:
    """Return how many calls fill ``seconds``, judged by a few synchronized ones."""
    once = min(timer.seconds(run) for _ in range(2))
    return max(1, round(seconds / max(once, 1e-7)))
