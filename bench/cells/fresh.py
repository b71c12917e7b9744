"""The memory of a system in a fresh process, apart from what this process holds."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable

import torch

from bench.material.workshop import Workshop
from bench.measure.memory import MemoryColumn, MemoryUse, measure_memory
from bench.measure.timer import Run
from cookie.nvml import used_bytes


def fresh_memory(
    workshop: Workshop, build: Callable[..., Run], *arguments: object, timeout_s: float
) -> MemoryUse:
    """Measure a fresh process; what this one holds on the device is taken off its count.

    Args:
        workshop: its setup is the first argument of ``build``, its threads the last.
        build: see :func:`bench.measure.memory.measure_memory`.
        arguments: of ``build``, in between.
        timeout_s: until the process is ended.
    """
    gc.collect()
    if workshop.device.type == "cuda":
        torch.cuda.empty_cache()
    mine, _ = used_bytes(workshop.device)
    found = measure_memory(
        build,
        dataclasses.replace(workshop.setup, config=workshop.config),
        *arguments,
        torch.get_num_threads(),
        device=workshop.device,
        timeout_s=timeout_s,
    )
    if mine is None or found.device_used.peak_bytes is None:
        return found
    column = MemoryColumn(found.device_used.peak_bytes - mine, 0)
    return dataclasses.replace(found, device_used=column)
