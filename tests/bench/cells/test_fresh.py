"""Memory of a fresh process beside what others hold on the device, with a made NVML."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from bench.cells import fresh
from bench.cells.fresh import fresh_memory
from bench.material.workshop import Setup, Workshop
from bench.measure.memory import MemoryColumn, MemoryUse

MINE, FOREIGN, CHILD = 200, 300, 450
OTHER = MemoryColumn(7, 3)


def measured(
    monkeypatch: pytest.MonkeyPatch, seen: int | None, child: MemoryColumn
) -> tuple[MemoryUse, list[Any]]:
    """Measure where NVML sees so many bytes in use before, and ``child`` in the new process."""
    handed: list[Any] = []

    def measure(*arguments: object, **options: object) -> MemoryUse:
        handed.extend([*arguments, options])
        return MemoryUse(OTHER, OTHER, child, OTHER)

    monkeypatch.setattr(fresh, "used_bytes", lambda _: (seen, None if seen else "no NVML"))
    monkeypatch.setattr(fresh, "measure_memory", measure)
    setup = Setup("scenes", "smoke", "cpu")
    workshop = SimpleNamespace(setup=setup, config=None, device=torch.device("cpu"))
    found = fresh_memory(cast(Workshop, workshop), lambda: lambda: None, "cookie", timeout_s=9.0)
    return found, handed


def test_what_this_process_and_foreign_ones_hold_is_taken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = MemoryColumn(MINE + FOREIGN + CHILD, MINE + FOREIGN)
    found, handed = measured(monkeypatch, MINE + FOREIGN, child)
    assert found.device_used == MemoryColumn(CHILD, 0)
    assert (found.allocated, found.reserved, found.peak_rss) == (OTHER, OTHER, OTHER)
    assert handed[1:3] == [Setup("scenes", "smoke", "cpu"), "cookie"]
    assert handed[-2:] == [
        torch.get_num_threads(),
        {"device": torch.device("cpu"), "timeout_s": 9.0},
    ]


def test_without_nvml_the_column_keeps_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = MemoryColumn(reason="nvidia-ml-py is not installed")
    assert measured(monkeypatch, None, missing)[0].device_used == missing
    assert measured(monkeypatch, 500, missing)[0].device_used == missing
