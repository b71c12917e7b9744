"""How much memory a piece of work takes: four columns that answer four questions.

``allocated`` is what its tensors held at once; ``reserved`` what the caching allocator took for
them, which is what runs out; ``device_used`` what the device gave away in all, context and
libraries included; ``peak_rss`` the resident memory of a process that does nothing else.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from bench.measure.process import ProcessError, run_in_fresh_process
from bench.measure.timer import Device, Run, synchronizer
from cookie.nvml import used_bytes

__all__ = [
    "MemoryColumn",
    "MemoryUse",
    "measure_device_memory",
    "measure_memory",
    "run_in_fresh_process",
]


@dataclass(frozen=True, slots=True)
class MemoryColumn:
    """One way of counting. What cannot be read is None with a reason, never 0.

    Attributes:
        peak_bytes: the most that was held while the work ran.
        before_bytes: what was held when it began.
    """

    peak_bytes: int | None = None
    before_bytes: int | None = None
    reason: str | None = None

    @property
    def added_bytes(self) -> int | None:
        """What the work itself needed on top; None where either end is unknown."""
        if self.peak_bytes is None or self.before_bytes is None:
            return None
        return self.peak_bytes - self.before_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {
            "peak_bytes": self.peak_bytes,
            "before_bytes": self.before_bytes,
            "added_bytes": self.added_bytes,
            "reason": self.reason,
        }


NOT_FRESH = MemoryColumn(reason="not run in a fresh process")


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """The four columns of one piece of work."""

    allocated: MemoryColumn
    reserved: MemoryColumn
    device_used: MemoryColumn
    peak_rss: MemoryColumn = NOT_FRESH

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, a dictionary a column."""
        return {
            "allocated": self.allocated.to_dict(),
            "reserved": self.reserved.to_dict(),
            "device_used": self.device_used.to_dict(),
            "peak_rss": self.peak_rss.to_dict(),
        }


def measure_device_memory(run: Run, *, device: Device) -> MemoryUse:
    """Return the three device columns of one call of ``run`` in this process.

    The allocator's counters miss no peak, however short. The device's own count is read once
    after the call, while the allocator still keeps what it reserved.
    """
    place = torch.device(device)
    if place.type != "cuda":
        missing = MemoryColumn(reason=f"{place.type} has no caching allocator")
        run()
        return MemoryUse(missing, missing, MemoryColumn(reason=used_bytes(place)[1]))
    with torch.cuda.device(place):
        return _cuda_memory(run, place)


def _cuda_memory(run: Run, place: torch.device) -> MemoryUse:
    synchronize = synchronizer(place)
    gc.collect()
    synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(place)
    allocated, reserved = torch.cuda.memory_allocated(place), torch.cuda.memory_reserved(place)
    used_before, _ = used_bytes(place)
    kept = run()  # a result that is alive counts
    synchronize()
    used_after, reason = used_bytes(place)
    del kept
    return MemoryUse(
        MemoryColumn(torch.cuda.max_memory_allocated(place), allocated),
        MemoryColumn(torch.cuda.max_memory_reserved(place), reserved),
        MemoryColumn(used_after, used_before, reason),
    )


def measure_memory(
    build: Callable[..., Run],
    *arguments: object,
    device: Device,
    timeout_s: float | None = None,
) -> MemoryUse:
    """Return all four columns, from a process that does nothing else.

    Args:
        build: makes the work and returns it as a callable; runs inside the new process, so it
            must be importable by name. What it builds (weights, a gallery) is in ``before_bytes``
            of the device columns and in the peak of all.
        arguments: of ``build``, picklable.
        device: where the work runs.
        timeout_s: seconds until the process is ended.

    A process that dies (out of memory) gives four columns without numbers and that reason.
    """
    try:
        fresh = run_in_fresh_process(
            _build_and_run, build, arguments, str(device), timeout_s=timeout_s
        )
    except ProcessError as error:
        missing = MemoryColumn(reason=str(error).strip().splitlines()[-1])
        return MemoryUse(missing, missing, missing, missing)
    rss = MemoryColumn(fresh.peak_rss_bytes, fresh.rss_before_bytes, fresh.reason)
    return replace(fresh.value, peak_rss=rss)


def _build_and_run(
    build: Callable[..., Run], arguments: tuple[object, ...], device: str
) -> MemoryUse:
    return measure_device_memory(build(*arguments), device=device)
