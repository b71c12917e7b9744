"""What every benchmark does: time a call with pytest-benchmark and note what the table lacks.

pytest-benchmark knows neither devices nor percentiles nor rivals. Here a call is timed from an
idle device to an idle device; percentiles, rate, the machine's state and ratios to rivals that
were measured in turns with it go into ``extra_info``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from bench.environment import hardware_slug, machine_state
from bench.measure.latency import kernel_seconds, measure_interleaved
from bench.measure.percentiles import summary
from bench.measure.timer import Device, Run, synchronizer, timer_for


@dataclass(frozen=True, slots=True)
class Profile:
    """How long benchmarks may take.

    Attributes:
        full: whether all sizes are run, or those that show most.
        seconds: of sampling a benchmark; rounds: at least ``least`` and at most ``most``.
    """

    full: bool
    seconds: float
    least: int
    most: int


QUICK = Profile(full=False, seconds=0.4, least=3, most=100)
FULL = Profile(full=True, seconds=10.0, least=20, most=1000)
PROFILE = FULL if os.environ.get("COOKIE_BENCH") == "full" else QUICK
"""``COOKIE_BENCH=full`` chooses the long one."""

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
PRECISIONS = ("float32", "bfloat16")


class Benchmark(Protocol):
    """What is used of pytest-benchmark's fixture."""

    extra_info: dict[str, Any]
    stats: Any

    def pedantic(self, target: Run, *, rounds: int, warmup_rounds: int, iterations: int) -> object:
        """Time ``rounds`` calls one by one."""
        ...


class Timed:
    """Times one call; the fixture ``timed`` of :mod:`bench.conftest`.

    Args:
        benchmark: pytest-benchmark's fixture.
        profile: how long.

    Attributes:
        result: what the last timed call returned, for checking that it did what was meant.
    """

    def __init__(self, benchmark: Benchmark, profile: Profile = PROFILE) -> None:
        self._benchmark, self._profile = benchmark, profile
        self.result: object = None

    def __call__(
        self,
        run: Run,
        *,
        device: Device = "cpu",
        items: int = 1,
        rivals: Mapping[str, Run] | None = None,
    ) -> dict[str, Any]:
        """Time ``run``; return what was noted beside the times.

        Args:
            run: the work.
            device: where it works.
            items: images, captions or pairs that one call works on.
            rivals: name -> work to be compared with; timed in turns with ``run``.
        """
        synchronize = synchronizer(device)

        def complete() -> None:
            self.result = run()
            synchronize()

        first, rounds, warm_up = self._warm_up(run, device)
        before = machine_state(device)
        self._benchmark.pedantic(complete, rounds=rounds, warmup_rounds=warm_up, iterations=1)
        notes = self._benchmark.extra_info
        notes |= {
            "device": torch.device(device).type,
            "hardware": hardware_slug(device),
            "first_seconds": first,
            "state_before": before.to_dict(),
            "state_after": machine_state(device).to_dict(),
        }
        if self._benchmark.stats is not None:  # None under --benchmark-disable
            notes |= self._times(run, device, items)
            notes["ratios"] = self._ratios(run, device, rivals or {})
        return notes

    def _warm_up(self, run: Run, device: Device) -> tuple[float, int, int]:
        """Return the first call's seconds, and how many rounds and warm-up rounds fit the time.

        A call that is slow already the first time needs no second one to be judged by.
        """
        timer, profile = timer_for(device), self._profile
        once = first = timer.seconds(run)
        if first < profile.seconds:
            once = max(min(timer.seconds(run) for _ in range(2)), 1e-7)
        rounds = max(profile.least, min(int(profile.seconds / once), profile.most))
        return first, rounds, int(once < profile.seconds)

    def _times(self, run: Run, device: Device, items: int) -> dict[str, Any]:
        seconds = [float(one) for one in self._benchmark.stats.stats.data]
        place, kernel = torch.device(device), None
        if place.type == "cuda":
            kernel = summary(kernel_seconds(run, len(seconds), synchronizer(place)))
        return {
            "request": summary(seconds),
            "kernel": kernel,
            "items": items,
            "items_per_second": items * len(seconds) / sum(seconds),
        }

    def _ratios(self, run: Run, device: Device, rivals: Mapping[str, Run]) -> list[dict[str, Any]]:
        if not rivals:
            return []
        together = measure_interleaved(
            {"this": run, **rivals},
            rounds=self._profile.most,
            device=device,
            time_budget_s=self._profile.seconds * (1 + len(rivals)),
        )
        return [together.ratio("this", name).to_dict() for name in rivals]
