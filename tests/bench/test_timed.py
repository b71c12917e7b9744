"""What is noted beside a benchmark's times, with a made fixture of pytest-benchmark."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bench import timed as module
from bench.measure.timer import Run
from bench.timed import Profile, Timed
from tests.bench.measure.fakes import FakeTime, LazyDevice

BRIEF = Profile(full=False, seconds=1.0, least=3, most=50)


@dataclass
class FakeBenchmark:
    """Times calls with a clock of its own."""

    clock: FakeTime
    enabled: bool = True
    extra_info: dict[str, Any] = field(default_factory=dict)
    stats: Any = None
    rounds: int = 0
    warmup_rounds: int = 0

    def pedantic(self, target: Run, *, rounds: int, warmup_rounds: int, iterations: int) -> object:
        """Time ``rounds`` calls."""
        assert iterations == 1
        self.rounds, self.warmup_rounds = rounds, warmup_rounds
        data = []
        for _ in range(rounds if self.enabled else 1):
            start = self.clock.seconds
            target()
            data.append(self.clock.seconds - start)
        if self.enabled:
            self.stats = SimpleNamespace(stats=SimpleNamespace(data=data))
        return None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """Return time that only passes in work, for the timer too."""
    time = FakeTime()
    timer = module.timer_for("cpu")
    made = type(timer)(timer.synchronize, time.nanoseconds)
    monkeypatch.setattr(module, "timer_for", lambda _: made)
    original = module.measure_interleaved
    monkeypatch.setattr(
        module, "measure_interleaved", lambda runs, **given: original(runs, **given, timer=made)
    )
    return time


@pytest.mark.parametrize(
    ("seconds", "rounds", "warm_up"), [(0.1, 10, 1), (0.001, 50, 1), (0.4, 3, 1), (5.0, 3, 0)]
)
def test_rounds_fit_the_time(clock: FakeTime, seconds: float, rounds: int, warm_up: int) -> None:
    benchmark = FakeBenchmark(clock)
    Timed(benchmark, BRIEF)(clock.work(seconds))
    assert (benchmark.rounds, benchmark.warmup_rounds) == (rounds, warm_up)


def test_a_slow_first_call_is_noted_and_does_not_set_the_rounds(clock: FakeTime) -> None:
    durations = iter([0.9])
    benchmark = FakeBenchmark(clock)
    notes = Timed(benchmark, BRIEF)(lambda: clock.work(next(durations, 0.05))())
    assert notes["first_seconds"] == pytest.approx(0.9)
    assert benchmark.rounds == 20


def test_notes_hold_percentiles_rate_and_states(clock: FakeTime) -> None:
    benchmark = FakeBenchmark(clock)
    notes = Timed(benchmark, BRIEF)(clock.work(0.02), items=8)
    assert notes is benchmark.extra_info
    stored = json.loads(json.dumps(notes))
    assert stored["request"]["n"] == 50
    assert stored["request"]["p50"] == pytest.approx(0.02)
    assert stored["request"]["p99"] is None
    assert stored["items_per_second"] == pytest.approx(8 / 0.02)
    assert (stored["device"], stored["kernel"], stored["ratios"]) == ("cpu", None, [])
    assert stored["state_before"].keys() == stored["state_after"].keys()
    assert stored["hardware"].startswith("cpu-")


def test_queued_work_is_inside_the_timed_call(
    clock: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = LazyDevice(clock)
    monkeypatch.setattr(module, "synchronizer", lambda _: device.synchronize)
    made = module.timer_for("cpu")
    waiting = type(made)(device.synchronize, made.clock)
    monkeypatch.setattr(module, "timer_for", lambda _: waiting)
    notes = Timed(FakeBenchmark(clock), BRIEF)(lambda: device.launch(0.1))
    assert notes["request"]["min"] == pytest.approx(0.1)


def test_rivals_are_compared_in_turns(clock: FakeTime) -> None:
    notes = Timed(FakeBenchmark(clock), BRIEF)(
        clock.work(0.1), rivals={"slower": clock.work(0.2), "faster": clock.work(0.05)}
    )
    ratios = {ratio["denominator"]: ratio["median"] for ratio in notes["ratios"]}
    assert ratios == {"slower": pytest.approx(0.5), "faster": pytest.approx(2.0)}
    assert notes["ratios"][0]["rounds"] == 9  # of 0.35 s each, in 3 s


def test_the_last_result_can_be_checked(clock: FakeTime) -> None:
    turns = iter(range(1000))
    timed = Timed(FakeBenchmark(clock), Profile(False, 1.0, 3, 3))

    def run() -> int:
        clock.work(0.1)()
        return next(turns)

    timed(run)
    assert timed.result == 3 + 3 - 1


def test_a_disabled_benchmark_runs_and_notes_no_times(clock: FakeTime) -> None:
    benchmark = FakeBenchmark(clock, enabled=False)
    notes = Timed(benchmark, BRIEF)(clock.work(0.1), rivals={"other": clock.work(0.1)})
    assert "request" not in notes
    assert "ratios" not in notes
    assert notes["device"] == "cpu"
