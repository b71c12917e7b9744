"""The highest rate within a limit, where theory knows it."""

from __future__ import annotations

import json

import pytest

from bench.measure.load import LoadResult, closed_loop
from bench.measure.sustained import highest_rate, keeps
from tests.bench.measure.test_load import Server, poisson_arrivals, waits_by_lindley


def p99_by_lindley(rate: float, service: float, requests: int) -> float:
    waits = sorted(waits_by_lindley(list(poisson_arrivals(rate, requests, 0)), service))
    return waits[-(-99 * requests // 100) - 1]


def test_the_rate_found_keeps_the_limit_and_a_little_more_does_not() -> None:
    server = Server(0.01)
    got = highest_rate(server, limit_s=0.05, steps=9, duration_s=1e6, clock=server.clock)
    assert got.rate is not None
    assert got.capacity == pytest.approx(100.0, rel=1e-3)
    assert p99_by_lindley(got.rate, 0.01, 1000) <= 0.0501
    assert p99_by_lindley(got.rate + 0.5, 0.01, 1000) > 0.0499
    assert 30.0 < got.rate < 90.0


def test_a_looser_limit_allows_a_higher_rate() -> None:
    rates = []
    for limit in (0.02, 0.05, 0.2):
        server = Server(0.01)
        rates.append(highest_rate(server, limit_s=limit, duration_s=1e6, clock=server.clock).rate)
    assert rates[0] < rates[1] < rates[2] < 100.0


def test_batching_raises_the_rate() -> None:
    single, batched = Server(0.01), Server(0.01)
    alone = highest_rate(single, limit_s=0.05, duration_s=1e6, clock=single.clock)
    grouped = highest_rate(batched, limit_s=0.05, max_batch=8, duration_s=1e6, clock=batched.clock)
    assert alone.rate is not None
    assert grouped.rate is not None
    assert grouped.rate > 3 * alone.rate


def test_an_unreachable_limit_has_no_rate_and_a_reason() -> None:
    server = Server(0.01)
    got = highest_rate(server, limit_s=0.005, steps=4, duration_s=1e6, clock=server.clock)
    assert got.rate is None
    assert got.reason is not None
    assert "kept p99 to 0.005 s" in got.reason
    assert {probe.stopped for probe in got.probes} == {"certain to miss the limit"}
    assert all(len(probe.latencies) < 100 for probe in got.probes), "hopeless probes end early"


def test_a_server_too_slow_to_sample_is_said_so_without_probing() -> None:
    server = Server(10.0)
    got = highest_rate(server, limit_s=60.0, duration_s=100.0, clock=server.clock)
    assert (got.rate, got.probes) == (None, ())
    assert got.reason == (
        "too slow for a p99: 0.1 answers a second at most, and rates are tried from 4.59 on"
    )


def test_no_probe_begins_once_the_time_for_them_is_spent() -> None:
    server = Server(0.01)
    whole = highest_rate(server, limit_s=0.05, clock=server.clock)
    spent = sum(probe.seconds for probe in whole.probes[:2])
    server = Server(0.01)
    got = highest_rate(server, limit_s=0.05, search_s=spent, clock=server.clock)
    assert [p.offered_rate for p in got.probes] == [p.offered_rate for p in whole.probes[:2]]
    assert got.rate == max(p.offered_rate for p in got.probes if keeps(p, 0.99, 0.05))


def test_a_closed_loop_that_was_run_before_is_not_run_again() -> None:
    server = Server(0.01)
    busy = closed_loop(server, requests=100, clock=server.clock)
    server.batches.clear()
    got = highest_rate(server, limit_s=0.05, busy=busy, clock=server.clock)
    assert got.capacity == busy.served_rate
    assert len(server.batches) == sum(len(probe.latencies) + 1 for probe in got.probes)


def test_too_few_requests_for_the_percentile_are_refused() -> None:
    with pytest.raises(ValueError, match="p99 needs 459 requests a probe, not 458"):
        highest_rate(Server(0.01), limit_s=1.0, requests=458)


def test_other_percentiles_need_fewer() -> None:
    server = Server(0.01)
    got = highest_rate(
        server, limit_s=0.05, share=0.9, requests=44, duration_s=1e6, clock=server.clock
    )
    assert got.rate is not None
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
    got = highest_rate(server, limit_s=0.05, steps=2, duration_s=1e6, clock=server.clock)
    stored = json.loads(json.dumps(got.to_dict()))
    assert len(stored["probes"]) == 2
    assert stored["probes"][0]["latency"]["n"] == len(stored["probes"][0]["latency_seconds"])
