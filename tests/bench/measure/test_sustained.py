"""The highest rate within a limit, where theory knows it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.measure import load
from bench.measure.arrivals import poisson_arrivals
from bench.measure.load import LoadResult, closed_loop, open_loop
from bench.measure.sustained import BEYOND, highest_rate, keeps
from tests.bench.measure.test_load import Server

MANY = {"probe_s": 60.0, "settle_s": 6.0}
"""Probes that are long beside the time in which the queues below forget."""


def simple_queue_limit(service: float, limit_s: float) -> float:
    """Return the rate at which 1 % wait longer than the limit where a call takes ``service``.

    M/D/1 under heavy load: P(wait > t) = exp(-2 (1 - rho) t / (rho service)) (Kingman 1961).
    """
    decay = math.log(100) * service / (2 * (limit_s - service))
    return 1 / (1 + decay) / service


def short_probes(server: Server) -> float:
    """Return what bisection over 500 requests below the closed loop's rate finds."""
    low, high = 0.0, 1 / server.base
    for _ in range(7):
        rate = (low + high) / 2
        probe = open_loop(server, rate=0.912 * rate, requests=500, clock=server.clock)
        low, high = (rate, high) if keeps(probe, 0.99, 0.1) else (low, rate)
    return low


@pytest.mark.parametrize("service", [0.002, 0.004, 0.008])
def test_the_limit_of_a_simple_queue_is_that_of_the_theory(service: float) -> None:
    server = Server(service)
    got = highest_rate(server, limit_s=0.1, steps=9, **MANY, clock=server.clock)
    assert got.rate == pytest.approx(simple_queue_limit(service, 0.1), rel=0.03)
    assert got.capacity == pytest.approx(1 / service)
    assert not got.at_least


def test_a_server_whose_queue_grows_too_slowly_for_500_requests_has_a_limit() -> None:
    """Short probes all pass and tell the closed loop's rate times 127 / 128."""
    server = Server(0.002)
    assert short_probes(server) == pytest.approx(500.0 * 127 / 128)
    got = highest_rate(server, limit_s=0.1, clock=server.clock)
    assert got.rate is not None
    assert 0.85 * 500 < got.rate < 0.99 * 500
    assert any(not keeps(probe, 0.99, 0.1) for probe in got.probes)
    assert not got.at_least


@pytest.mark.parametrize("max_batch", [1, 16])
def test_probes_above_what_a_server_can_do_fail(max_batch: int) -> None:
    server = Server(0.003, 0.0001)
    got = highest_rate(server, limit_s=0.1, max_batch=max_batch, clock=server.clock)
    above = [probe for probe in got.probes if (probe.offered_rate or 0) > 1.05 * got.capacity]
    assert above
    assert {probe.stopped for probe in above} == {"certain to miss the limit"}
    assert got.rate is not None
    assert got.rate < 1.03 * got.capacity


def test_what_never_fails_is_said_to_be_known_from_below_alone() -> None:
    """A closed loop whose calls were slow, on a server that can do ten times as much."""
    server = Server(0.001)
    busy = LoadResult("closed", (0.01,) * 500, 5.0, 1)
    got = highest_rate(server, limit_s=0.1, busy=busy, clock=server.clock)
    assert all(keeps(probe, 0.99, 0.1) for probe in got.probes)
    assert len(got.probes) == 7
    assert got.rate == max(probe.offered_rate or 0 for probe in got.probes)
    assert 1.15 * got.capacity < got.rate < BEYOND * got.capacity
    assert got.at_least
    assert got.to_dict()["at_least"] is True


def test_requests_arrive_at_the_rate_that_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every probe's own times, counted where they are made; no two probes have the same."""
    made = list[tuple[float, NDArray[np.float64]]]()

    def spying(rate: float, count: int, seed: int, settling: int = 0) -> list[float]:
        moments = list(poisson_arrivals(rate, count, seed, settling))
        made.append((count / rate, np.array(moments[settling:]) - settling / rate))
        return moments

    monkeypatch.setattr(load, "poisson_arrivals", spying)
    server = Server(0.002)
    got = highest_rate(server, limit_s=0.1, clock=server.clock)
    assert len(made) == len(got.probes) == 7
    for probe, (seconds, moments) in zip(got.probes, made, strict=True):
        inside = int(((moments >= 0) & (moments < seconds)).sum())
        assert inside / seconds == pytest.approx(probe.offered_rate, rel=1e-12)
        assert seconds >= 6.0
    shares = [tuple(np.round(moments[:9] / seconds, 9)) for seconds, moments in made]
    assert len(set(shares)) == 7


def test_the_same_search_finds_the_same() -> None:
    found = []
    for _ in range(2):
        server = Server(0.004)
        found.append(highest_rate(server, limit_s=0.1, clock=server.clock))
    assert found[0] == found[1]


def test_a_looser_limit_allows_a_higher_rate() -> None:
    rates = []
    for limit in (0.03, 0.05, 0.2):
        server = Server(0.01)
        rates.append(highest_rate(server, limit_s=limit, **MANY, clock=server.clock).rate)
    assert rates[0] < rates[1] < rates[2] < 100.0


def test_batching_raises_the_rate() -> None:
    single, batched = Server(0.01), Server(0.01)
    alone = highest_rate(single, limit_s=0.05, clock=single.clock)
    grouped = highest_rate(batched, limit_s=0.05, max_batch=8, clock=batched.clock)
    assert alone.rate is not None
    assert grouped.rate is not None
    assert grouped.rate > 3 * alone.rate


def test_an_unreachable_limit_has_no_rate_and_a_reason() -> None:
    server = Server(0.01)
    got = highest_rate(server, limit_s=0.005, steps=4, clock=server.clock)
    assert got.rate is None
    assert not got.at_least
    assert got.reason is not None
    assert "kept p99 to 0.005 s" in got.reason
    assert {probe.stopped for probe in got.probes} == {"certain to miss the limit"}
    assert all(len(probe.latencies) < 100 for probe in got.probes), "hopeless probes end early"


def test_a_server_too_slow_to_sample_is_said_so_without_probing() -> None:
    server = Server(10.0)
    got = highest_rate(server, limit_s=60.0, longest_s=100.0, clock=server.clock)
    assert (got.rate, got.probes) == (None, ())
    assert got.reason == (
        "too slow for a p99: 0.1 answers a second at most, and rates are tried from 4.59 on"
    )


def test_a_slow_server_s_probes_last_until_they_have_the_answers_for_the_percentile() -> None:
    server = Server(0.02)
    got = highest_rate(server, limit_s=0.1, clock=server.clock)
    kept = [len(probe.latencies) for probe in got.probes if probe.stopped is None]
    assert kept
    assert set(kept) == {459}
    assert max(probe.seconds for probe in got.probes) < 16.0


def test_no_probe_begins_once_the_time_for_them_is_spent() -> None:
    server = Server(0.01)
    whole = highest_rate(server, limit_s=0.05, settle_s=0.0, clock=server.clock)
    spent = sum(probe.seconds for probe in whole.probes[:2])
    server = Server(0.01)
    got = highest_rate(server, limit_s=0.05, settle_s=0.0, search_s=spent, clock=server.clock)
    assert [p.offered_rate for p in got.probes] == [p.offered_rate for p in whole.probes[:2]]
    assert got.rate == max(p.offered_rate for p in got.probes if keeps(p, 0.99, 0.05))


def test_a_very_fast_server_s_bursts_are_not_turned_away() -> None:
    """20,000 a second and a stall of 60 ms: 1,200 wait, and p99 keeps to 100 ms."""

    class Stalling(Server):
        def __call__(self, count: int) -> None:
            """Stall once a thousand calls."""
            self.base = 0.06 if len(self.batches) % 1000 == 999 else 0.00001
            super().__call__(count)

    server, busy = Stalling(0.0), LoadResult("closed", (0.001,) * 20_000, 1.0, 16)
    got = highest_rate(
        server, limit_s=0.1, max_batch=16, steps=2, probe_s=1.0, busy=busy, clock=server.clock
    )
    assert [probe.dropped for probe in got.probes] == [0, 0]


def test_a_closed_loop_that_was_run_before_is_not_run_again() -> None:
    server = Server(0.01)
    busy = closed_loop(server, requests=100, clock=server.clock)
    server.batches.clear()
    got = highest_rate(server, limit_s=0.05, settle_s=0.0, busy=busy, clock=server.clock)
    assert got.capacity == busy.served_rate
    assert len(server.batches) == sum(len(probe.latencies) + 1 for probe in got.probes)


def test_other_percentiles_need_fewer() -> None:
    server = Server(0.01)
    got = highest_rate(server, limit_s=0.05, share=0.9, probe_s=0.1, clock=server.clock)
    assert got.rate is not None
    assert {len(p.latencies) for p in got.probes if p.stopped is None} == {44}
    assert got.to_dict()["percentile"] == "p90"


def test_what_keeps_a_limit() -> None:
    answers = (0.1,) * 990 + (9.0,) * 10
    assert keeps(LoadResult("open", answers, 1.0, 1), 0.99, 0.1)
    assert not keeps(LoadResult("open", (*answers[1:], 9.0), 1.0, 1), 0.99, 0.1)
    assert not keeps(LoadResult("open", answers, 1.0, 1, dropped=1), 0.99, 0.1)
    assert not keeps(LoadResult("open", answers, 1.0, 1, stopped="time"), 0.99, 0.1)
    assert not keeps(LoadResult("open", (0.1,) * 458, 1.0, 1), 0.99, 0.1)


def test_the_search_goes_to_json() -> None:
    server = Server(0.01)
    got = highest_rate(server, limit_s=0.05, steps=2, clock=server.clock)
    stored = json.loads(json.dumps(got.to_dict()))
    assert len(stored["probes"]) == 2
    assert stored["probes"][0]["latency"]["n"] == len(stored["probes"][0]["latency_seconds"])
