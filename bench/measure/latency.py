"""How long one call takes: as its caller waits for it, and as the device computes it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from bench.measure.percentiles import Interval, median_interval, percentile, summary
from bench.measure.timer import Device, Run, Timer, synchronizer, timer_for


class TimedEvent(Protocol):
    """A mark in a device's queue, as :class:`torch.cuda.Event`."""

    def record(self) -> None:
        """Put the mark behind all work queued so far."""
        ...

    def elapsed_time(self, end_event: Any) -> float:  # noqa: ANN401 -- the same kind of event
        """Return the milliseconds from this mark to ``end_event``."""
        ...


@dataclass(frozen=True, slots=True)
class LatencySamples:
    """Raw times of single calls, in the order measured; what they say depends on how many.

    Attributes:
        seconds: request times, each from call to finished work.
        device: type of the device, e.g. ``cpu``.
        warmup: calls that were made before and are not among ``seconds``.
        first_seconds: the first call of all: compilation and lazy set-up are in it.
        kernel_seconds: device times between CUDA events; None with ``kernel_reason``.
    """

    seconds: tuple[float, ...]
    device: str
    warmup: int
    first_seconds: float
    kernel_seconds: tuple[float, ...] | None = None
    kernel_reason: str | None = None

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def median(self) -> float:
        """Median request time in seconds."""
        return float(np.median(self.seconds))

    @property
    def interval(self) -> Interval | None:
        """95 % interval of the median; None below six samples."""
        return median_interval(self.seconds)

    def percentile(self, share: float) -> float | None:
        """Return the request time at ``share`` in seconds, None where n is too small for it."""
        return percentile(self.seconds, share)

    def summaries(self) -> dict[str, Any]:
        """Return what the request times and the kernel times come to, JSON-able, in seconds."""
        kernel = self.kernel_seconds
        return {
            "request": summary(self.seconds),
            "kernel": None if kernel is None else summary(kernel),
            "kernel_reason": self.kernel_reason,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return summaries and raw samples, JSON-able, in seconds."""
        kernel = self.kernel_seconds
        return {
            "device": self.device,
            "warmup": self.warmup,
            "first_seconds": self.first_seconds,
            **self.summaries(),
            "request_seconds": list(self.seconds),
            "kernel_seconds": None if kernel is None else list(kernel),
        }


def measure_latency(
    run: Run,
    *,
    device: Device = "cpu",
    warmup: int = 10,
    samples: int = 100,
    time_budget_s: float = 30.0,
    timer: Timer | None = None,
) -> LatencySamples:
    """Time single calls of ``run``.

    Args:
        run: the work; whatever it queues on ``device`` is waited for.
        device: where it works.
        warmup: calls before the first sample (at least one is made and reported apart).
        samples: at most this many samples; 459 are needed to state a p99.
        time_budget_s: sampling stops after this many seconds, warm-up after a third of them;
            one sample is always taken.
        timer: instead of the device's own.

    Returns:
        The samples; on CUDA with as many kernel times.
    """
    clock = timer or timer_for(device)
    first = clock.seconds(run)
    warm = _sample(run, clock, warmup - 1, time_budget_s / 3) if warmup > 1 else ()
    gc.collect()
    seconds = _sample(run, clock, samples, time_budget_s)
    kernel, reason = _kernel(run, device, len(seconds))
    return LatencySamples(seconds, torch.device(device).type, 1 + len(warm), first, kernel, reason)


def _sample(run: Run, timer: Timer, count: int, budget_s: float) -> tuple[float, ...]:
    """Return up to ``count`` times, at least one, until their sum passes ``budget_s``."""
    taken = [timer.seconds(run)]
    total = taken[0]
    while len(taken) < count and total < budget_s:
        taken.append(timer.seconds(run))
        total += taken[-1]
    return tuple(taken)


def _kernel(run: Run, device: Device, count: int) -> tuple[tuple[float, ...] | None, str | None]:
    """Return the device times, or why there are none."""
    place = torch.device(device)
    if place.type != "cuda":
        return None, f"no CUDA events on {place.type}"
    with torch.cuda.device(place):
        return kernel_seconds(run, count, synchronizer(place)), None


def kernel_seconds(
    run: Run,
    count: int,
    synchronize: Callable[[], None],
    new_event: Callable[[], TimedEvent] = lambda: torch.cuda.Event(enable_timing=True),  # type: ignore[no-untyped-call]
) -> tuple[float, ...]:
    """Return the device time of ``count`` back-to-back calls, each between two events.

    The events are read after one synchronization at the end, so that the host runs ahead and
    its launch cost stays out wherever the device is the slower of the two.
    """
    marks = [(new_event(), new_event()) for _ in range(count)]
    synchronize()
    for start, end in marks:
        start.record()
        run()
        end.record()
    synchronize()
    return tuple(start.elapsed_time(end) * 1e-3 for start, end in marks)


@dataclass(frozen=True, slots=True)
class PairedRatio:
    """How many times as long one system takes as another, from pairs measured side by side.

    Attributes:
        median: of the ratios of the rounds.
        interval: 95 % interval of that median; None below six rounds.
        rounds: number of pairs.
    """

    numerator: str
    denominator: str
    median: float
    interval: Interval | None
    rounds: int

    @property
    def differs(self) -> bool | None:
        """Whether the interval leaves out 1; None where there is no interval."""
        return None if self.interval is None else not self.interval.low <= 1 <= self.interval.high

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and names."""
        return {
            "numerator": self.numerator,
            "denominator": self.denominator,
            "median": self.median,
            "interval": None if self.interval is None else self.interval.to_dict(),
            "rounds": self.rounds,
        }


@dataclass(frozen=True, slots=True)
class InterleavedSamples:
    """Samples of several systems taken in turns: the i-th of each belong to one round."""

    samples: Mapping[str, LatencySamples]

    def ratio(self, numerator: str, denominator: str) -> PairedRatio:
        """Return how many times as long ``numerator`` takes as ``denominator``."""
        above, below = self.samples[numerator].seconds, self.samples[denominator].seconds
        ratios = [a / b for a, b in zip(above, below, strict=True)]
        middle = float(np.median(ratios))
        return PairedRatio(numerator, denominator, middle, median_interval(ratios), len(ratios))

    def to_dict(self) -> dict[str, Any]:
        """Return every system's samples, and each one's ratio to the first."""
        names = list(self.samples)
        return {
            "samples": {name: self.samples[name].to_dict() for name in names},
            "ratios": [self.ratio(name, names[0]).to_dict() for name in names[1:]],
        }


def measure_interleaved(
    runs: Mapping[str, Run],
    *,
    rounds: int = 30,
    device: Device = "cpu",
    warmup: int = 3,
    time_budget_s: float = 60.0,
    timer: Timer | None = None,
) -> InterleavedSamples:
    """Time several systems in turns, A B C A B C, so that a noisy machine hits all alike.

    Args:
        runs: name -> work.
        rounds: at most this many of each; ``time_budget_s`` ends them earlier, after one at least.
        device: where all of them work.
        warmup: unmeasured calls of each (at least one).
        time_budget_s: seconds for all rounds together.
        timer: instead of the device's own.
    """
    if not runs:
        raise ValueError("there is nothing to measure")
    clock = timer or timer_for(device)
    first = {name: clock.seconds(run) for name, run in runs.items()}
    for _ in range(warmup - 1):
        _round(runs, clock)
    gc.collect()
    taken = [_round(runs, clock)]
    total = sum(taken[0])
    while len(taken) < rounds and total < time_budget_s:
        taken.append(_round(runs, clock))
        total += sum(taken[-1])
    kind, columns = torch.device(device).type, zip(*taken, strict=True)
    reason = "interleaved: request times alone"
    return InterleavedSamples(
        {
            name: LatencySamples(column, kind, max(warmup, 1), first[name], None, reason)
            for name, column in zip(runs, columns, strict=True)
        }
    )


def _round(runs: Mapping[str, Run], timer: Timer) -> tuple[float, ...]:
    return tuple(timer.seconds(run) for run in runs.values())
