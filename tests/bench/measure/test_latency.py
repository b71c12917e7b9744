"""The timer waits for the device; samples, budgets, turns and ratios are counted by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch

from bench.measure.latency import (
    InterleavedSamples,
    LatencySamples,
    PairedRatio,
    kernel_seconds,
    measure_interleaved,
    measure_latency,
)
from bench.measure.percentiles import Interval
from bench.measure.timer import Timer, synchronizer, timer_for
from tests.bench.measure.fakes import FakeTime, LazyDevice, ThreadDevice


def fake_timer(time: FakeTime) -> Timer:
    return Timer(lambda: None, time.nanoseconds)


def test_queued_work_is_in_the_time() -> None:
    time = FakeTime()
    device = LazyDevice(time)
    timer = Timer(device.synchronize, time.nanoseconds)
    assert timer.seconds(lambda: device.launch(0.25)) == pytest.approx(0.25)


def test_work_queued_before_is_not_in_the_time() -> None:
    time = FakeTime()
    device = LazyDevice(time)
    device.launch(5.0)
    assert Timer(device.synchronize, time.nanoseconds).seconds(lambda: None) == 0.0


def test_without_synchronizing_queued_work_would_be_missed() -> None:
    """The control: a timer that does not wait sees nothing of the same work."""
    time = FakeTime()
    device = LazyDevice(time)
    assert fake_timer(time).seconds(lambda: device.launch(0.25)) == 0.0


def test_the_clock_is_read_after_a_thread_has_finished() -> None:
    device, gate, done_at_reading = ThreadDevice(), threading.Event(), list[int]()

    def clock() -> int:
        done_at_reading.append(device.done)
        return len(done_at_reading)

    def synchronize() -> None:
        gate.set()
        device.synchronize()

    Timer(synchronize, clock).seconds(lambda: device.launch(gate))
    assert done_at_reading == [0, 1]


def test_a_cpu_needs_no_waiting() -> None:
    synchronizer("cpu")()
    assert timer_for("cpu").seconds(lambda: torch.ones(3).sum()) > 0


def test_cuda_is_synchronized_on_the_device_named(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    synchronizer("cuda:1")()
    assert waited == [torch.device("cuda:1")]


def test_other_accelerators_are_synchronized_too(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    synchronizer("mps")()
    assert waited == [torch.device("mps")]


def test_warm_up_is_run_and_left_out() -> None:
    time, durations = FakeTime(), iter([9.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0])
    got = measure_latency(
        lambda: time.work(next(durations))(),
        warmup=3,
        samples=4,
        time_budget_s=100.0,
        timer=fake_timer(time),
    )
    assert got.seconds == pytest.approx((1.0,) * 4)
    assert (got.warmup, got.first_seconds, len(got)) == (3, pytest.approx(9.0), 4)


@pytest.mark.parametrize(("asked", "made"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_the_first_call_is_apart_and_counts_as_warm_up(asked: int, made: int) -> None:
    time, calls = FakeTime(), list[int]()
    got = measure_latency(lambda: calls.append(1), warmup=asked, samples=2, timer=fake_timer(time))
    assert (len(calls), got.warmup, len(got)) == (made + 2, made, 2)


@pytest.mark.parametrize(("budget", "taken"), [(0.0, 1), (0.1, 1), (2.5, 3), (3.0, 3), (9.0, 8)])
def test_the_budget_ends_sampling_after_at_least_one(budget: float, taken: int) -> None:
    time = FakeTime()
    got = measure_latency(
        time.work(1.0), warmup=1, samples=8, time_budget_s=budget, timer=fake_timer(time)
    )
    assert len(got) == taken


def test_the_budget_counts_every_sample_at_its_own_length() -> None:
    time, durations = FakeTime(), iter([0.0, 1.0, 2.0, 4.0, 8.0, 16.0])
    got = measure_latency(
        lambda: time.work(next(durations))(),
        warmup=1,
        samples=5,
        time_budget_s=7.5,
        timer=fake_timer(time),
    )
    assert got.seconds == pytest.approx((1.0, 2.0, 4.0, 8.0))


def test_a_long_warm_up_is_cut() -> None:
    time = FakeTime()
    got = measure_latency(
        time.work(1.0), warmup=100, samples=2, time_budget_s=9.0, timer=fake_timer(time)
    )
    assert got.warmup == 1 + 3


def test_percentiles_need_their_samples() -> None:
    samples = LatencySamples(tuple(range(1, 459)), "cpu", 1, 1.0)  # type: ignore[arg-type]
    assert samples.percentile(0.99) is None
    assert samples.percentile(0.95) == 436
    assert samples.median == 229.5
    assert samples.interval is not None
    assert samples.interval.low < 229.5 < samples.interval.high


def test_samples_go_to_json_and_keep_raw_times() -> None:
    samples = LatencySamples((0.5, 0.25), "cpu", 1, 1.0, None, "no CUDA events on cpu")
    got = json.loads(json.dumps(samples.to_dict()))
    assert got["request_seconds"] == [0.5, 0.25]
    assert got["request"]["p50"] == 0.375
    assert got["request"]["p99"] is None
    assert got["kernel"] is None
    assert got["kernel_reason"] == "no CUDA events on cpu"


def test_a_cpu_has_no_kernel_times_and_says_why() -> None:
    got = measure_latency(lambda: None, samples=2, warmup=1)
    assert got.kernel_seconds is None
    assert got.kernel_reason == "no CUDA events on cpu"


@dataclass
class FakeEvent:
    """An event of :class:`QueueDevice`: notes the device's time once the queue gets to it."""

    device: QueueDevice
    at: float | None = None

    def record(self) -> None:
        """Queue the mark."""
        self.device.queue.append(self.mark)

    def mark(self) -> None:
        """Note the time; the device got here."""
        self.at = self.device.now

    def elapsed_time(self, end_event: FakeEvent) -> float:
        """Return milliseconds."""
        assert self.at is not None, "read before the device got here"
        assert end_event.at is not None, "read before the device got here"
        return (end_event.at - self.at) * 1e3


@dataclass
class QueueDevice:
    """Runs what was queued in order, when synchronized."""

    now: float = 0.0
    queue: list[Callable[[], None]] = field(default_factory=list)
    synchronized: int = 0

    def launch(self, duration: float) -> None:
        """Queue work."""

        def work() -> None:
            self.now += duration

        self.queue.append(work)

    def synchronize(self) -> None:
        """Do what is queued."""
        self.synchronized += 1
        for work in self.queue:
            work()
        self.queue.clear()


def test_kernel_time_lies_between_events_read_after_one_synchronization() -> None:
    device, durations = QueueDevice(), iter([1.0, 2.0, 3.0])
    device.launch(7.0)  # work of somebody else, queued before

    got = kernel_seconds(
        lambda: device.launch(next(durations)), 3, device.synchronize, lambda: FakeEvent(device)
    )

    assert got == pytest.approx((1.0, 2.0, 3.0))
    assert device.synchronized == 2


def test_turns_are_a_b_c() -> None:
    order = list[str]()
    runs = {name: (lambda name=name: order.append(name)) for name in "abc"}
    got = measure_interleaved(runs, rounds=4, warmup=2)
    assert "".join(order) == "abc" * (2 + 4)
    assert {samples.warmup for samples in got.samples.values()} == {2}
    assert [len(samples) for samples in got.samples.values()] == [4, 4, 4]


@pytest.mark.parametrize(("budget", "rounds"), [(0.0, 1), (6.0, 2), (7.0, 3)])
def test_interleaving_stops_after_whole_rounds(budget: float, rounds: int) -> None:
    time = FakeTime()
    runs = {"a": time.work(1.0), "b": time.work(2.0)}
    got = measure_interleaved(runs, rounds=50, time_budget_s=budget, timer=fake_timer(time))
    assert [len(samples) for samples in got.samples.values()] == [rounds, rounds]
    assert got.samples["a"].first_seconds == pytest.approx(1.0)


def test_the_first_round_is_warm_up_even_when_none_is_asked_for() -> None:
    got = measure_interleaved({"a": lambda: None}, rounds=1, warmup=0)
    assert got.samples["a"].warmup == 1


def test_the_time_of_rounds_adds_up_round_by_round() -> None:
    time, durations = FakeTime(), iter([0.0, 1.0, 2.0, 4.0, 8.0, 16.0])
    got = measure_interleaved(
        {"a": lambda: time.work(next(durations))()},
        rounds=5,
        warmup=1,
        time_budget_s=7.5,
        timer=fake_timer(time),
    )
    assert got.samples["a"].seconds == pytest.approx((1.0, 2.0, 4.0, 8.0))


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        measure_interleaved({})


def test_a_paired_ratio_is_free_of_the_noise_that_hits_both() -> None:
    """Each round is slowed by its own factor; b always takes three times as long as a."""
    slowdown = [1.0, 50.0, 2.0, 9.0, 1.5, 30.0, 4.0, 1.0]
    got = InterleavedSamples(
        {
            "a": LatencySamples(tuple(slowdown), "cpu", 1, 1.0),
            "b": LatencySamples(tuple(3 * one for one in slowdown), "cpu", 1, 1.0),
        }
    ).ratio("b", "a")
    assert (got.median, got.rounds, got.differs) == (3.0, 8, True)
    assert got.interval is not None
    assert (got.interval.low, got.interval.high) == (3.0, 3.0)


def test_the_ratio_is_of_pairs_and_not_of_medians() -> None:
    above = LatencySamples((1.0, 10.0, 100.0), "cpu", 1, 1.0)
    below = LatencySamples((10.0, 1.0, 10.0), "cpu", 1, 1.0)
    got = InterleavedSamples({"above": above, "below": below})
    assert got.ratio("above", "below").median == 10.0  # of 0.1, 10, 10; the medians give 1
    assert got.ratio("below", "above").median == pytest.approx(0.1)
    assert got.ratio("above", "below").differs is None


def test_equal_systems_do_not_differ() -> None:
    there = LatencySamples((1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0), "cpu", 1, 1.0)
    back = LatencySamples((2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0), "cpu", 1, 1.0)
    assert InterleavedSamples({"a": there, "b": back}).ratio("a", "b").differs is False


@pytest.mark.parametrize(
    ("low", "high", "differs"),
    [(1.0, 2.0, False), (0.5, 1.0, False), (1.01, 3.0, True), (0.5, 0.99, True), (1.5, 2.5, True)],
)
def test_one_inside_the_interval_is_no_difference(low: float, high: float, differs: bool) -> None:
    ratio = PairedRatio("a", "b", (low + high) / 2, Interval(low, high), 9)
    assert ratio.differs is differs
    assert ratio.to_dict()["interval"] == {"low": low, "high": high, "confidence": 0.95}
    assert PairedRatio("a", "b", 1.0, None, 3).to_dict()["interval"] is None


def test_interleaved_samples_go_to_json_with_ratios_to_the_first() -> None:
    runs = {"a": lambda: None, "b": lambda: None, "c": lambda: None}
    got = json.loads(json.dumps(measure_interleaved(runs, rounds=6).to_dict()))
    assert [(one["numerator"], one["denominator"]) for one in got["ratios"]] == [
        ("b", "a"),
        ("c", "a"),
    ]
    assert len(got["samples"]["c"]["request_seconds"]) == 6


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_request_time_covers_kernel_time() -> None:
    left = torch.randn(4096, 4096, device="cuda")
    got = measure_latency(lambda: left @ left, device="cuda", samples=20)
    assert got.kernel_seconds is not None
    assert len(got.kernel_seconds) == 20
    assert got.median > 0.5 * sorted(got.kernel_seconds)[10]
