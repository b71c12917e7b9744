"""A clock that waits for the device: work that is only queued has not been done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch

Run: TypeAlias = Callable[[], object]
Device: TypeAlias = torch.device | str


def synchronizer(device: Device) -> Callable[[], None]:
    """Return a function that waits until ``device`` has finished all queued work.

    A CPU works synchronously: there it does nothing.
    """
    place = torch.device(device)
    if place.type == "cpu":
        return lambda: None
    if place.type == "cuda":
        return lambda: torch.cuda.synchronize(place)
    return lambda: torch.accelerator.synchronize(place)


@dataclass(frozen=True, slots=True)
class Timer:
    """Times calls from an idle device to an idle device.

    Attributes:
        synchronize: waits for the device.
        clock: monotonic nanoseconds.
    """

    synchronize: Callable[[], None]
    clock: Callable[[], int] = time.perf_counter_ns

    def seconds(self, run: Run) -> float:
        """Return the seconds from the call of ``run`` until all work that it queued is done."""
        self.synchronize()
        start = self.clock()
        run()
        self.synchronize()
        return (self.clock() - start) * 1e-9


def timer_for(device: Device) -> Timer:
    """Return the timer of ``device``."""
    return Timer(synchronizer(device))
