"""Four columns: known allocations, and None with a reason where nothing can be read."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch

from bench.measure import memory
from bench.measure.memory import MemoryColumn, measure_device_memory, measure_memory
from bench.measure.process import STATUS, ProcessError
from tests.bench.measure import work

MIB = work.MIB
gpu = pytest.mark.gpu
without = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def holding_tensor(size: int, device: str) -> Callable[[], torch.Tensor]:
    """Return work that holds a tensor of ``size`` bytes on ``device``."""
    return lambda: torch.ones(size, dtype=torch.uint8, device=device)


def test_a_column_adds_up_or_says_why_not() -> None:
    assert MemoryColumn(30, 10).added_bytes == 20
    assert MemoryColumn(30, None).added_bytes is None
    assert MemoryColumn(reason="because").to_dict() == {
        "peak_bytes": None,
        "before_bytes": None,
        "added_bytes": None,
        "reason": "because",
    }


def test_on_a_cpu_the_device_columns_are_none_with_reasons() -> None:
    calls = list[int]()
    got = measure_device_memory(lambda: calls.append(1), device="cpu")
    assert calls == [1]
    for column in (got.allocated, got.reserved, got.device_used, got.peak_rss):
        assert column.peak_bytes is None
        assert column.added_bytes is None
        assert column.reason
    assert got.device_used.reason == "NVML knows no cpu"
    assert got.peak_rss.reason == "not run in a fresh process"


@pytest.mark.skipif(not STATUS.exists(), reason="needs Linux's /proc")
def test_a_known_allocation_shows_in_resident_memory() -> None:
    got = measure_memory(holding_tensor, 256 * MIB, "cpu", device="cpu")
    assert got.peak_rss.added_bytes == pytest.approx(256 * MIB, rel=0.15)
    assert got.allocated.peak_bytes is None


def test_running_out_of_memory_is_a_reason_and_not_a_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run_out(*_: object, **__: object) -> None:
        raise ProcessError("building raised in its process:\n  File ...\nMemoryError: too little\n")

    monkeypatch.setattr(memory, "run_in_fresh_process", run_out)
    got = measure_memory(holding_tensor, 1, "cpu", device="cpu")
    for column in (got.allocated, got.reserved, got.device_used, got.peak_rss):
        assert column == MemoryColumn(reason="MemoryError: too little")


def test_all_columns_go_to_json() -> None:
    got = json.loads(json.dumps(measure_device_memory(lambda: None, device="cpu").to_dict()))
    assert got.keys() == {"allocated", "reserved", "device_used", "peak_rss"}


@gpu
@without
def test_a_known_allocation_shows_in_all_columns_of_a_gpu() -> None:
    got = measure_device_memory(holding_tensor(256 * MIB, "cuda"), device="cuda")
    assert got.allocated.added_bytes == 256 * MIB
    assert got.reserved.added_bytes is not None
    assert 256 * MIB <= got.reserved.added_bytes <= 300 * MIB
    assert got.device_used.reason is None
    assert got.device_used.added_bytes is not None
    assert got.device_used.added_bytes >= 256 * MIB


@gpu
@without
def test_a_peak_that_is_over_when_read_is_still_seen() -> None:
    def run() -> None:
        torch.ones(128 * MIB, dtype=torch.uint8, device="cuda")

    assert measure_device_memory(run, device="cuda").allocated.added_bytes == 128 * MIB
