"""Rates on a made clock: measured over stretches, never one over the latency."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch

from bench.measure.throughput import ThroughputCurve, ThroughputPoint, measure_throughput
from bench.measure.timer import Timer
from cookie.shortage import shortages
from tests.bench.measure.fakes import FakeTime, LazyDevice


def pipelined(time: FakeTime) -> tuple[LazyDevice, Timer]:
    device = LazyDevice(time)
    return device, Timer(device.synchronize, time.nanoseconds)


def test_rates_come_from_the_batch_and_the_time() -> None:
    time = FakeTime()
    timer = Timer(lambda: None, time.nanoseconds)
    got = measure_throughput(
        lambda size: time.work(0.1 + 0.01 * size), [1, 10], seconds=1.1, timer=timer
    )
    assert [point.batch_size for point in got.points] == [1, 10]
    assert [point.calls for point in got.points] == [10, 6]  # 1.1 / 0.11, 1.1 / 0.2
    assert got.points[0].items_per_second == pytest.approx(1 / 0.11)
    assert got.points[1].items_per_second == pytest.approx(10 / 0.2)
    assert [len(point.seconds) for point in got.points] == [7, 7]


def test_calls_of_a_stretch_are_not_waited_for_one_by_one() -> None:
    """A device that takes 1 ms a call and 9 ms to wait for: 1 / latency would say 100."""
    time = FakeTime()
    device = LazyDevice(time)

    def synchronize() -> None:
        if device.queued:
            device.launch(0.009)
        device.synchronize()

    timer = Timer(synchronize, time.nanoseconds)
    got = measure_throughput(
        lambda size: lambda: device.launch(0.001), [1], seconds=1.0, timer=timer
    )
    point = got.points[0]
    assert point.calls == 100
    assert point.items_per_second == pytest.approx(100 / 0.109)


def test_a_call_longer_than_a_stretch_is_made_once() -> None:
    time = FakeTime()
    _, timer = pipelined(time)
    got = measure_throughput(lambda size: time.work(60.0), [4], repetitions=2, timer=timer)
    assert (got.points[0].calls, got.points[0].seconds) == (1, pytest.approx((60.0, 60.0)))


SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
]


def limited(
    sizes: list[int], most: int, error: Exception
) -> tuple[ThroughputCurve, list[int], list[str]]:
    """Measure ``sizes`` where no more than ``most`` items fit: curve, sizes tried, lines told."""
    time, asked = FakeTime(), list[int]()

    def prepare(size: int) -> Callable[[], None]:
        asked.append(size)

        def fail() -> None:
            raise error

        return fail if size > most else time.work(0.1)

    with shortages() as told:
        curve = measure_throughput(prepare, sizes, timer=Timer(lambda: None, time.nanoseconds))
    return curve, asked, told


@pytest.mark.parametrize("error", SHORTAGES)
def test_out_of_memory_ends_the_curve_with_a_reason(error: Exception) -> None:
    got, asked, _ = limited([1, 2, 4, 8], 3, error)
    assert asked == [1, 2, 4]
    assert [point.reason for point in got.points] == [
        None,
        None,
        "out of memory at batch size 4",
        "out of memory at batch size 4",
    ]
    assert [point.items_per_second for point in got.points[2:]] == [None, None]
    assert got.best is got.points[1]


@pytest.mark.parametrize("error", SHORTAGES)
def test_a_batch_that_does_not_fit_is_halved_down_to_what_was_measured(error: Exception) -> None:
    got, asked, told = limited([1, 8, 64, 256], 20, error)
    assert asked == [1, 8, 64, 32, 16]
    measured = [(point.batch_size, bool(point.seconds)) for point in got.points]
    assert measured == [(1, True), (8, True), (64, False), (32, False), (16, True), (256, False)]
    assert got.best is not None
    assert got.best.batch_size == 16
    assert got.points[3].reason == "out of memory at batch size 32"
    assert got.points[5].reason == "out of memory at batch size 64"
    assert told[0] == "out of memory with 64 items at a time: going on with 32"
    assert len(told) == 2


def test_where_nothing_fits_every_point_has_its_reason() -> None:
    got, asked, _ = limited([4, 8], 0, MemoryError())
    assert asked == [4, 2, 1]
    assert got.best is None
    assert all(point.reason for point in got.points)
    assert [point.batch_size for point in got.points] == [4, 2, 1, 8]


@pytest.mark.parametrize("error", [LookupError("broken"), RuntimeError("broken")])
def test_other_errors_are_not_swallowed(error: Exception) -> None:
    def prepare(size: int) -> Callable[[], None]:
        raise error

    with pytest.raises(type(error), match="broken"):
        measure_throughput(prepare, [1])


def test_the_best_is_the_highest_rate_and_not_the_largest_batch() -> None:
    points = (
        ThroughputPoint(1, 1, (1.0,)),
        ThroughputPoint(8, 1, (1.0, 1.0, 100.0)),
        ThroughputPoint(64, 1, (60.0,)),
    )
    assert ThroughputCurve(points).best is points[1]
    assert ThroughputCurve(()).best is None


def test_a_curve_goes_to_json_with_raw_times() -> None:
    curve = ThroughputCurve(
        (ThroughputPoint(2, 5, (1.0, 2.0)), ThroughputPoint(4, 0, (), "out of memory"))
    )
    got = json.loads(json.dumps(curve.to_dict()))
    assert got["points"][0]["seconds"] == [1.0, 2.0]
    assert got["points"][0]["items_per_second"] == 7.5
    assert got["points"][1]["items_per_second"] is None
    assert (got["best_batch_size"], got["items_per_second"]) == (2, 7.5)
    assert ThroughputCurve(()).to_dict()["items_per_second"] is None


def test_six_repetitions_have_an_interval() -> None:
    point = ThroughputPoint(1, 1, (1.0, 1.0, 1.0, 2.0, 2.0, 2.0))
    assert point.interval is not None
    assert (point.interval.low, point.interval.high) == (0.5, 1.0)
    assert ThroughputPoint(1, 1, (1.0,) * 5).interval is None
