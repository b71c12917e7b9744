"""Energy with a made counter, and none without one."""

from __future__ import annotations

import json

import pytest
import torch

from bench.measure.energy import EnergyUse, measure_energy
from bench.measure.timer import Timer
from tests.bench.measure.fakes import FakeTime


def measured(time: FakeTime, watts: float, **options: float) -> EnergyUse:
    """Measure work of 0.3 s a call on a device of constant power."""
    return measure_energy(
        time.work(0.3),
        device="cpu",
        items_per_call=8,
        timer=Timer(lambda: None, time.nanoseconds),
        counter=lambda _: (5000.0 + watts * time.seconds, None),
        **options,  # type: ignore[arg-type]
    )


def test_energy_is_power_times_time_shared_among_items() -> None:
    got = measured(FakeTime(), watts=200.0, seconds=3.0)
    assert (got.calls, got.items) == (10, 80)
    assert got.seconds == pytest.approx(3.0)
    assert got.joules == pytest.approx(600.0)
    assert got.watts == pytest.approx(200.0)
    assert got.joules_per_item == pytest.approx(7.5)


def test_set_up_in_the_first_call_is_not_charged_to_the_items() -> None:
    time, calls = FakeTime(), list[int]()

    def work() -> None:
        time.sleep(0.5 if calls else 60.0)  # the first call compiles
        calls.append(1)

    got = measure_energy(
        work,
        device="cpu",
        seconds=2.0,
        timer=Timer(lambda: None, time.nanoseconds),
        counter=lambda _: (100.0 * time.seconds, None),
    )
    assert (got.calls, len(calls)) == (4, 5)
    assert got.joules == pytest.approx(200.0)


def test_a_reading_spans_at_least_a_second() -> None:
    got = measured(FakeTime(), watts=1.0, seconds=0.01)
    assert got.seconds == pytest.approx(1.2)
    assert got.calls == 4


def test_without_a_counter_nothing_runs_and_nothing_is_zero() -> None:
    calls = list[int]()
    got = measure_energy(lambda: calls.append(1), device="cpu")
    assert calls == []
    assert (got.joules, got.watts, got.joules_per_item) == (None, None, None)
    assert got.reason == "NVML knows no cpu"


def test_a_counter_that_fails_later_leaves_none_and_its_reason() -> None:
    time, answers = FakeTime(), iter([(1.0, None), (1.0, None), (None, "NVML: GPU is lost")])
    got = measure_energy(
        time.work(2.0),
        device="cpu",
        timer=Timer(lambda: None, time.nanoseconds),
        counter=lambda _: next(answers),
    )
    assert (got.joules, got.reason) == (None, "NVML: GPU is lost")


def test_energy_goes_to_json() -> None:
    got = json.loads(json.dumps(EnergyUse(None, 0.0, 0, 0, "no counter").to_dict()))
    assert got["joules_per_item"] is None
    assert got["reason"] == "no counter"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_uses_energy() -> None:
    left = torch.randn(4096, 4096, device="cuda")
    got = measure_energy(lambda: left @ left, device="cuda", seconds=1.0)
    assert got.joules is None or got.joules > 1.0
