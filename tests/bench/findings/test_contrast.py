"""Changes from A to B: signs, pairing, ratios, and what is left out."""

from __future__ import annotations

import dataclasses
import statistics

import pytest

from bench.findings.contrast import Contrast, contrasts
from bench.records import Record
from cookie.errors import UserError
from tests.bench.hand_made import accuracy, efficiency, latency, train, uniform


def by_measure(first: Record, second: Record) -> dict[str, Contrast]:
    return {found.measure: found for found in contrasts([first], [second])}


def test_differences_are_b_minus_a() -> None:
    found = by_measure(uniform("dual_stream", 10), uniform("cookie", 30))
    rsum = found["RSUM"]
    assert (rsum.first, rsum.second, rsum.change) == pytest.approx((150, 450, 300))
    assert rsum.low is not None
    assert rsum.high is not None
    assert 0 < rsum.low < 300 < rsum.high
    assert rsum.p_value == pytest.approx(0.0002, abs=1e-4)
    assert found["t2i R@5, %"].change == pytest.approx(50)
    assert len(found) == 7


def test_swapping_the_sides_turns_the_signs() -> None:
    one, two = uniform("dual_stream", 18), uniform("cookie", 22)
    for measure, found in by_measure(one, two).items():
        back = by_measure(two, one)[measure]
        assert (back.change, back.low) == pytest.approx((-found.change, -(found.high or 0)))


def test_seeds_are_compared_together() -> None:
    first = [uniform("cookie", 10, seed=seed) for seed in (0, 1)]
    second = [uniform("cookie", count, seed=seed) for seed, count in enumerate((10, 20))]
    assert contrasts(first, second)[0].change == pytest.approx(75)


def test_shared_queries_are_used_and_counted() -> None:
    few = accuracy("single_stream", [0] * 10, [0] * 6, sampled=True)
    found = by_measure(few, uniform("cookie", 5))
    assert found["RSUM"].n == "10 + 6 queries"
    assert found["i2t R@1, %"].second == pytest.approx(50.0)


def test_no_shared_query_is_one_sentence() -> None:
    few, others = (accuracy("cookie", [0] * 2, [0] * 2) for _ in range(2))
    moved = {
        name: {**table, "query": [query + 50 for query in table["query"]]}
        for name, table in others.samples.items()
    }
    with pytest.raises(UserError, match="no common query"):
        contrasts([few], [dataclasses.replace(others, samples=moved)])


def test_times_are_ratios_with_a_range_over_repeats() -> None:
    found = by_measure(efficiency("dual_stream", 2.0, spread=0.5), efficiency("cookie", 3.0))
    full = found["full evaluation, s"]
    assert full.change == pytest.approx(1.5)
    assert (full.low, full.high) == pytest.approx((3.0 / 2.5, 3.0 / 1.5))
    assert full.bounds == "range over repeats"
    assert found["peak RSS, bytes"].change == 1.0
    assert found["peak RSS, bytes"].low is None
    assert not [measure for measure in found if measure.startswith("GPU")]


def test_one_repeat_has_no_range() -> None:
    once = efficiency("cookie", 3.0)
    once.values["full_evaluation"]["repeats"] = [3.0]
    full = by_measure(efficiency("dual_stream", 2.0, spread=0.5), once)["full evaluation, s"]
    assert (full.change, full.low, full.high, full.bounds) == (1.5, None, None, "")


def test_the_range_is_best_against_worst_on_both_sides() -> None:
    pair = (efficiency(name, 2.0, spread=0.5) for name in ("dual_stream", "cookie"))
    full = by_measure(*pair)["full evaluation, s"]
    assert (full.low, full.high) == pytest.approx((1.5 / 2.5, 2.5 / 1.5))


def test_one_query_alone_is_compared_where_both_timed_it() -> None:
    made = [efficiency("cookie", 1.0), efficiency("cookie", 1.0)]
    times = [0.25 + 0.001 * place for place in range(-20, 21)]
    first, second = (
        dataclasses.replace(one, samples={"one_query": [factor * value for value in times]})
        for one, factor in zip(made, (1, 2), strict=True)
    )
    found = by_measure(first, second)["one query alone, s"]
    assert (found.first, found.second) == pytest.approx((0.25, 0.5))
    assert found.change == pytest.approx(2)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 2 < found.high
    assert found.bounds == "95 % interval"
    assert "one query alone, s" not in by_measure(first, made[1])


def test_an_extrapolated_time_is_marked() -> None:
    slow = efficiency("single_stream", 9.0, extrapolated=True)
    assert "extrapolated" in by_measure(slow, efficiency("cookie", 3.0))["full evaluation, s"].n


def timed(times: dict[str, list[float]], long: dict[str, list[float]] | None = None) -> Record:
    made = latency({name: statistics.median(values) for name, values in times.items()})
    samples = {"together": times} | ({"long": long} if long else {})
    return dataclasses.replace(made, samples=samples)


def test_query_times_come_from_the_long_run_where_both_have_it() -> None:
    short = {"cookie": [1.0] * 10, "single_stream": [8.0] * 10}
    first, second = timed(short, {"cookie": [2.0] * 20}), timed(short, {"cookie": [3.0] * 20})
    found = by_measure(first, second)
    assert found["cookie: median query, s"].change == 1.5
    assert found["cookie: median query, s"].n == "20 and 20 times"
    assert found["single_stream: median query, s"].change == 1.0
    assert by_measure(first, timed(short))["cookie: median query, s"].n == "10 and 10 times"


def test_systems_that_one_side_lacks_are_left_out() -> None:
    found = by_measure(timed({"cookie": [1.0] * 9, "x": [1.0]}), timed({"cookie": [1.0] * 3}))
    (only,) = found.values()
    assert only.low is None
    assert only.bounds == ""


def test_training_is_compared_by_what_it_took() -> None:
    found = by_measure(train("cookie"), train("dual_stream"))
    assert found["training, s"].change == 1.0
    assert "best validation RSUM" not in found
