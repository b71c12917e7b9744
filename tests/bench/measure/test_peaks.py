"""Peaks are measured once, positive, and tell which machine they are of."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch

from bench.measure import peaks
from bench.measure.peaks import MachinePeaks, copy_peak, matmul_peak, measure_peaks


def test_the_matmul_peak_counts_two_flops_a_multiply_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "_best", lambda device, run, tries: run() is None or 0.5)
    assert matmul_peak("cpu", torch.float32, 10) == 2 * 10**3 / 0.5


@pytest.mark.parametrize(("mm", "ours"), [(0.5, 0.25), (0.25, 0.5)])
def test_the_peak_is_that_of_the_faster_library(
    monkeypatch: pytest.MonkeyPatch, mm: float, ours: float
) -> None:
    """Which one it is differs from processor to processor."""
    used = list[str]()
    monkeypatch.setattr(peaks, "inner_products", lambda left, right: used.append("ours"))

    def seconds(device: object, run: Callable[[], object], tries: int) -> float:
        used.clear()
        run()
        return ours if used else mm

    monkeypatch.setattr(peaks, "_best", seconds)
    assert matmul_peak("cpu", torch.float32, 10) == 2 * 10**3 / 0.25
    assert matmul_peak("cpu", torch.bfloat16, 10) == 2 * 10**3 / mm


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_libraries_do_the_work_that_is_counted(dtype: torch.dtype) -> None:
    left = torch.randn(16, 16).to(dtype)
    results = [product() for product in peaks._products(left)]
    assert len(results) == (2 if dtype == torch.float32 else 1)
    wanted = [left @ left, left @ left.T]
    for got, want in zip(results, wanted, strict=False):
        torch.testing.assert_close(got, want)


def test_the_copy_peak_counts_reading_and_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "_best", lambda device, run, tries: run() is None or 0.5)
    assert copy_peak("cpu", 4000) == 2 * 4000 / 0.5


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks._measure.cache_clear()
    monkeypatch.setattr(peaks, "SIZES", {"cpu": 32})
    monkeypatch.setattr(peaks, "COPY_BYTES", {"cpu": 4096})


@pytest.mark.usefixtures("small")
def test_peaks_are_measured_once_for_a_number_of_threads() -> None:
    first = measure_peaks("cpu")
    assert measure_peaks(torch.device("cpu")) is first
    assert first.threads == torch.get_num_threads()
    assert all(rate > 0 for rate in first.matmul_flops.values())
    assert first.copy_bytes is not None
    assert first.copy_bytes > 0
    peaks._measure.cache_clear()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("able", "measured"), [(True, ["float32", "bfloat16"]), (False, ["float32"])]
)
def test_emulated_bfloat16_is_no_peak(
    monkeypatch: pytest.MonkeyPatch, able: bool, measured: list[str]
) -> None:
    monkeypatch.setattr(peaks, "has_bfloat16", lambda device: able)
    assert list(measure_peaks("cpu").matmul_flops) == measured
    peaks._measure.cache_clear()


def test_peaks_go_to_json() -> None:
    got = json.loads(json.dumps(MachinePeaks("cpu", {"float32": 1.0}, None, 3).to_dict()))
    assert got == {
        "device": "cpu",
        "matmul_flops": {"float32": 1.0},
        "copy_bytes": None,
        "threads": 3,
    }
