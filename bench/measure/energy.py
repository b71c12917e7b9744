"""The energy a piece of work takes, from the device's own counter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.measure.timer import Device, Run, Timer, timer_for
from cookie.nvml import energy_joules

SHORTEST = 1.0
"""Seconds a reading must span: the counter moves in steps of tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class EnergyUse:
    """Energy of ``calls`` calls; None with a reason where no counter can be read.

    Attributes:
        joules: of the whole device over ``seconds``, idle power included.
        items: items worked on in all calls.
    """

    joules: float | None
    seconds: float
    calls: int
    items: int
    reason: str | None = None

    @property
    def joules_per_item(self) -> float | None:
        """Energy of one item."""
        return None if self.joules is None else self.joules / self.items

    @property
    def watts(self) -> float | None:
        """Mean power."""
        return None if self.joules is None else self.joules / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {
            "joules": self.joules,
            "seconds": self.seconds,
            "calls": self.calls,
            "items": self.items,
            "joules_per_item": self.joules_per_item,
            "watts": self.watts,
            "reason": self.reason,
        }


def measure_energy(
    run: Run,
    *,
    device: Device,
    items_per_call: int = 1,
    seconds: float = 2.0,
    timer: Timer | None = None,
    counter: Callable[[Device], tuple[float | None, str | None]] = energy_joules,
) -> EnergyUse:
    """Return the energy of repeated calls of ``run``, over at least one second.

    Args:
        run: the work, called again and again for ``seconds`` (at least 1).
        device: whose energy is read. Without a counter nothing is run.
        items_per_call: queries or images in a call.
        seconds: how long.
        timer: instead of the device's own.
        counter: returns joules so far, or None and why.
    """
    if counter(device)[0] is None:
        return EnergyUse(None, 0.0, 0, 0, counter(device)[1])
    clock = timer or timer_for(device)
    clock.seconds(run)  # set-up and compilation
    before, _ = counter(device)
    start, taken, calls = clock.clock(), 0.0, 0
    while taken < max(seconds, SHORTEST):
        clock.seconds(run)
        calls, taken = calls + 1, (clock.clock() - start) * 1e-9
    after, reason = counter(device)
    joules = None if before is None or after is None else after - before
    return EnergyUse(joules, taken, calls, calls * items_per_call, reason)
