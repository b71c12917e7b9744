"""Loads on a made clock, against the theory of queues and a slow oracle."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measure.arrivals import ArrivalQueue, Clock, poisson_arrivals
from bench.measure.load import LoadResult, closed_loop, open_loop
from tests.bench.measure.fakes import FakeTime


class Server:
    """Takes ``base`` seconds a batch and ``each`` more a request, on a made clock."""

    def __init__(self, base: float, each: float = 0.0) -> None:
        self.time = FakeTime()
        self.clock = Clock(self.time.now, self.time.sleep, awake_s=0.0)
        self.base, self.each = base, each
        self.batches = list[int]()

    def __call__(self, count: int) -> None:
        """Serve ``count`` requests at once."""
        self.batches.append(count)
        self.time.seconds += self.base + self.each * count


def waits_by_lindley(arrivals: list[float], service: float) -> list[float]:
    """Latency of each request at one server, first come first served."""
    free, latencies = 0.0, []
    for due in arrivals:
        free = max(free, due) + service
        latencies.append(free - due)
    return latencies


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 3.0), st.integers(0, 5))
def test_open_latencies_are_lindleys(load: float, seed: int) -> None:
    server = Server(0.01)
    got = open_loop(
        server, rate=load / 0.01, requests=200, duration_s=1e9, seed=seed, clock=server.clock
    )
    want = waits_by_lindley(list(poisson_arrivals(load / 0.01, 200, seed)), 0.01)
    assert got.latencies == pytest.approx(want, abs=1e-9)
    assert (got.dropped, got.stopped, len(got.latencies)) == (0, None, 200)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_the_mean_wait_is_that_of_an_m_d_1_queue(load: float) -> None:
    """Mean wait of Poisson arrivals at a server of fixed time S: rho S / (2 (1 - rho))."""
    server = Server(0.01)
    got = open_loop(
        server,
        rate=load / 0.01,
        requests=30_000,
        max_in_flight=30_000,
        duration_s=1e9,
        clock=server.clock,
    )
    wait = float(np.mean(got.latencies)) - 0.01
    assert wait == pytest.approx(load * 0.01 / (2 * (1 - load)), rel=0.07)


def test_a_stall_is_felt_by_all_who_were_due_meanwhile() -> None:
    """One slow answer of 1 s at 100 requests a second: the closed loop sees one late request."""

    class Stalling(Server):
        def __call__(self, count: int) -> None:
            """Stall once."""
            self.base = 1.0 if len(self.batches) == 100 else 0.001
            super().__call__(count)

    still, rushed = Stalling(0.001), Stalling(0.001)
    closed = closed_loop(still, requests=400, duration_s=1e9, clock=still.clock)
    opened = open_loop(rushed, rate=100.0, requests=400, duration_s=1e9, clock=rushed.clock)
    assert sum(latency > 0.1 for latency in closed.latencies) == 1
    assert sum(latency > 0.1 for latency in opened.latencies) > 70


def test_arrivals_are_poisson_and_repeatable() -> None:
    arrivals = np.array(poisson_arrivals(50.0, 20_000, seed=1))
    gaps = np.diff(arrivals, prepend=0.0)
    assert (gaps > 0).all()
    assert gaps.mean() == pytest.approx(0.02, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)
    assert (gaps > 0.02).mean() == pytest.approx(math.exp(-1), abs=0.015)
    assert list(arrivals) == list(poisson_arrivals(50.0, 20_000, seed=1))
    assert list(arrivals) != list(poisson_arrivals(50.0, 20_000, seed=2))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("count", "settling"), [(459, 0), (500, 0), (500, 83), (3000, 500)])
def test_requests_arrive_at_exactly_the_rate_that_is_told(
    count: int, settling: int, seed: int
) -> None:
    """So many in so long; the first of each part comes early in it and the last one late."""
    moments = np.array(poisson_arrivals(50.0, count, seed, settling))
    begin, end = settling / 50.0, (settling + count) / 50.0
    assert len(moments) == settling + count
    assert (np.diff(moments) > 0).all()
    assert int((moments < begin).sum()) == settling
    assert int(((moments >= begin) & (moments < end)).sum()) == count
    assert end - moments[-1] < 0.5


def test_each_half_of_a_time_has_a_poisson_share_of_the_arrivals() -> None:
    """Given 400 arrivals, those in the first half are binomial: 200 +- 10."""
    halves = [np.searchsorted(poisson_arrivals(1.0, 400, seed), 200.0) for seed in range(400)]
    assert np.mean(halves) == pytest.approx(200.0, abs=2.0)
    assert np.std(halves) == pytest.approx(10.0, rel=0.15)


def test_those_who_settle_are_served_and_not_counted() -> None:
    """The first 50 come while the server is slow; the others see nothing of it."""

    class Waking(Server):
        def __call__(self, count: int) -> None:
            """Be slow eleven times, once before the clock starts."""
            self.base = 0.2 if len(self.batches) < 11 else 0.001
            super().__call__(count)

    server, awake = Waking(0.0), Server(0.001)
    arguments = {"rate": 10.0, "requests": 100, "duration_s": 1e9}
    got = open_loop(server, **arguments, settling=50, clock=server.clock)  # type: ignore[arg-type]
    want = open_loop(awake, **arguments, settling=50, clock=awake.clock)  # type: ignore[arg-type]
    assert len(server.batches) == 151
    assert got.latencies == pytest.approx(want.latencies)
    assert (len(got.latencies), got.offered_rate) == (100, 10.0)
    assert got.seconds == pytest.approx(10.0, abs=0.5)


def test_nobody_of_those_who_settle_counts_as_turned_away() -> None:
    queue = ArrivalQueue([0.0, 0.1, 0.2, 1.0, 1.1, 1.2], max_in_flight=1, settling=3)
    queue.answered(queue.take(0.0, 1), 0.5)
    assert (queue.dropped, queue.latencies) == (0, [])
    queue.answered(queue.take(1.0, 1), 1.15)
    assert (queue.dropped, queue.latencies) == (1, [pytest.approx(0.15)])
    queue.abandon(2.0)
    assert queue.dropped == 2


def test_an_overloaded_server_turns_away_beyond_its_bound() -> None:
    server = Server(1.0)
    got = open_loop(
        server, rate=100.0, requests=500, max_in_flight=4, duration_s=1e9, clock=server.clock
    )
    assert len(got.latencies) + got.dropped == 500
    assert got.dropped > 450
    assert max(got.latencies) <= 4.0 + 1e-3  # never more than three before it


def test_those_inside_are_counted_at_the_moment_of_the_arrival() -> None:
    queue = ArrivalQueue([0.0, 0.5, 0.6, 2.0, 3.0, 9.0], max_in_flight=2)
    batch = queue.take(0.0, 1)
    queue.answered(batch, 1.0)  # 0.5 waits beside the one served, 0.6 is one too many
    assert (list(queue.waiting), queue.dropped, queue.arrived) == ([0.5], 1, 3)
    queue.answered(queue.take(1.0, 1), 2.0)
    assert queue.latencies == [1.0, 1.5]
    assert queue.next_due() == 2.0
    queue.abandon(4.0)  # 2.0 and 3.0 wait in vain, 9.0 never came
    assert (queue.dropped, list(queue.waiting), queue.arrived) == (3, [], 5)


def test_waiting_requests_are_batched_up_to_the_limit() -> None:
    server = Server(1.0)
    got = open_loop(server, rate=10.0, requests=60, max_batch=8, duration_s=1e9, clock=server.clock)
    assert max(server.batches) == 8
    assert sum(server.batches[1:]) == 60  # the first is the warm-up
    assert got.served_rate > 5.0


def test_batching_serves_a_rate_that_one_by_one_would_not() -> None:
    single, batched = Server(0.01, 0.0001), Server(0.01, 0.0001)
    alone = open_loop(single, rate=300.0, requests=1000, duration_s=1e9, clock=single.clock)
    grouped = open_loop(
        batched, rate=300.0, requests=1000, max_batch=16, duration_s=1e9, clock=batched.clock
    )
    assert alone.percentile(0.99) > 1.0  # type: ignore[operator]
    assert grouped.percentile(0.99) < 0.05  # type: ignore[operator]


def test_time_bounds_an_open_run_and_counts_who_still_waits() -> None:
    server = Server(1.0)
    got = open_loop(server, rate=2.0, requests=10_000, duration_s=20.0, clock=server.clock)
    assert got.stopped == "time was up after 20 s"
    assert got.seconds == pytest.approx(21.0, abs=1.1)
    assert got.dropped > 10


def test_a_run_that_ends_with_its_time_is_not_called_stopped() -> None:
    server = Server(1.0)
    got = open_loop(server, rate=1000.0, requests=3, duration_s=2.5, clock=server.clock)
    assert (got.stopped, got.dropped, len(got.latencies)) == (None, 0, 3)


def test_giving_up_ends_a_run() -> None:
    server = Server(0.001)
    got = open_loop(
        server,
        rate=10.0,
        requests=1000,
        duration_s=1e9,
        give_up=lambda result: "enough" if len(result.latencies) > 100 else None,
        clock=server.clock,
    )
    assert (got.stopped, len(got.latencies)) == ("enough", 128)


@pytest.mark.parametrize(("clients", "max_batch", "latency"), [(1, 1, 1), (4, 1, 4), (4, 4, 1)])
def test_a_closed_loop_keeps_its_clients_inside(clients: int, max_batch: int, latency: int) -> None:
    server = Server(0.01)
    got = closed_loop(
        server,
        clients=clients,
        max_batch=max_batch,
        requests=40,
        duration_s=1e9,
        clock=server.clock,
    )
    assert got.latencies[-1] == pytest.approx(latency * 0.01, rel=1e-3)
    assert got.served_rate == pytest.approx(max_batch / 0.01, rel=1e-3)
    assert (len(got.latencies), got.clients) == (40, clients)


def test_time_bounds_a_closed_run() -> None:
    server = Server(1.0)
    got = closed_loop(server, requests=1000, duration_s=4.5, clock=server.clock)
    assert len(got.latencies) == 5


def test_waiting_sleeps_until_shortly_before_and_never_ends_early() -> None:
    time = FakeTime()

    def now() -> float:
        time.seconds += 1e-5  # reading a clock takes time, or waiting awake would not end
        return time.seconds

    clock = Clock(now, time.sleep, awake_s=0.01)
    clock.wait_until(1.0)
    assert 1.0 <= time.seconds < 1.0 + 1e-4
    assert time.sleeps == 1
    clock.wait_until(1.005)
    assert time.sleeps == 1
    clock.wait_until(0.5)
    assert time.seconds < 1.006


def test_a_result_goes_to_json_with_raw_latencies() -> None:
    result = LoadResult("open", (0.1, 0.3), 2.0, 1, dropped=1, offered_rate=5.0)
    got = json.loads(json.dumps(result.to_dict()))
    assert got["latency_seconds"] == [0.1, 0.3]
    assert (got["served_rate"], got["offered_rate"], got["dropped"]) == (1.0, 5.0, 1)
    assert got["latency"]["p99"] is None
    assert got["clients"] is None


def test_the_real_clock_serves_too() -> None:
    got = open_loop(lambda _: None, rate=2000.0, requests=20, duration_s=5.0)
    assert len(got.latencies) == 20
    assert min(got.latencies) >= 0
