"""C3 in worlds where it holds, does not hold, or cannot be decided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.findings.inference_time import (
    faster,
    fastest,
    gallery_for,
    in_turns,
    per_mille,
    per_mille_of_rounds,
)
from bench.findings.sections import View, views
from bench.layout import significant
from bench.records import Record
from tests.bench.hand_made import efficiency, evaluation, evaluations, latency


def view(*records: Record) -> View:
    (only,) = views(records)
    return only


@pytest.mark.parametrize(
    ("seconds", "spread", "outcome"),
    [(2.0, 0.0, "holds"), (4.0, 0.0, "does not hold"), (3.0, 0.5, "undecided")],
)
def test_c3(seconds: float, spread: float, outcome: str) -> None:
    ours = efficiency("cookie", seconds, spread=spread)
    verdict = faster(view(ours, efficiency("single_stream", 1000.0)))
    assert verdict.outcome == outcome
    assert "40 images and 80 captions" in verdict.reason
    assert "extrapolated" not in verdict.reason


@pytest.mark.parametrize("measured", ["cookie", "single_stream"])
def test_c3_needs_the_speed_of_both(measured: str) -> None:
    found = faster(view(efficiency(measured, 2.0)))
    assert found.outcome == "not measured yet"
    assert found.effect is None


def test_c3_says_when_the_reference_is_extrapolated() -> None:
    reference = efficiency("single_stream", 1000.0, extrapolated=True)
    assert "extrapolated" in faster(view(efficiency("cookie", 1.0), reference)).reason


def test_c3_gives_the_query_times_with_the_gallery() -> None:
    times = latency({"cookie": 0.002, "single_stream": 0.5})
    found = faster(view(efficiency("cookie", 1.0), efficiency("single_stream", 1000.0), times))
    assert "one text query against 40 prepared images takes 2 ms and 500 ms" in found.reason
    assert "4.00 per mille" in found.reason


def compiled_section() -> tuple[Record, ...]:
    """Return speeds at which C3 only holds where both are compiled."""
    seconds = {
        "cookie": 4.0,
        "cookie_compiled": 2.0,
        "single_stream": 1000.0,
        "single_stream_compiled": 800.0,
    }
    speeds = tuple(efficiency(name, value) for name, value in seconds.items())
    queries = {"cookie": 0.004, "single_stream": 0.5}
    return (*speeds, latency(queries | {"cookie_compiled": 0.003, "single_stream_compiled": 0.4}))


def test_c3_is_judged_with_each_as_fast_as_it_was_measured() -> None:
    found = faster(view(*compiled_section()))
    assert found.outcome == "holds"
    assert "COOKIE (compiled) 2 s and the single-stream (compiled) 13.3 min" in found.reason
    assert "2.50 per mille (range" in found.reason
    assert "; neither compiled, 4.00 per mille (4.00 to 4.00)" in found.reason
    assert "takes 3 ms and 400 ms, 7.50 per mille" in found.reason


def test_compiled_speeds_alone_are_judged_and_set_beside_no_others() -> None:
    speeds = {"cookie_compiled": 2.0, "single_stream_compiled": 800.0}
    found = faster(view(*(efficiency(name, value) for name, value in speeds.items())))
    assert found.outcome == "holds"
    assert "2.50 per mille (range" in found.reason
    assert "neither compiled" not in found.reason


def test_compiling_that_gains_nothing_is_not_judged_by() -> None:
    slower = efficiency("cookie_compiled", 5.0)
    found = faster(view(efficiency("cookie", 4.0), slower, efficiency("single_stream", 1000.0)))
    assert "compiled" not in found.reason
    assert found.outcome == "does not hold"


DRIFTS = (1.0, 1.7, 0.8, 1.3, 1.0, 2.0, 0.9, 1.1, 1.5)
"""How many times as long everything takes in a round of nine."""


def drifting(cookie: float, single: float, *, noise: float = 0.0) -> dict[str, list[float]]:
    """Return seconds of rounds in which the machine's speed changes for both sides alike."""
    shares = [1 + noise * (place - 4) for place in range(9)]
    return {
        "cookie": [cookie * drift * share for drift, share in zip(DRIFTS, shares, strict=True)],
        "single_stream": [single * drift for drift in DRIFTS],
    }


def test_a_drift_that_hits_both_in_a_round_is_not_in_the_ratio() -> None:
    seconds = drifting(2.9, 1000.0)
    verdict = faster(view(evaluations(seconds)))
    assert verdict.outcome == "holds"
    assert verdict.effect is not None
    assert verdict.effect.value == pytest.approx(2.9)
    assert verdict.effect.low == pytest.approx(verdict.effect.high)
    assert verdict.effect.bounds == "95 % interval over 9 rounds in turns"
    assert "2.90 per mille (95 % interval over 9 rounds in turns 2.90 to 2.90)" in verdict.reason
    assert "one after the other" not in verdict.reason
    one, two = (evaluation(1.0) | {"repeats": seconds[name]} for name in seconds)
    assert per_mille(one, two).high > 2 * 2.9, "the range over repeats holds all of the drift"


@pytest.mark.parametrize(
    ("cookie", "outcome"), [(2.9, "holds"), (3.0, "undecided"), (3.1, "does not hold")]
)
def test_c3_is_judged_by_the_interval_over_rounds(cookie: float, outcome: str) -> None:
    """Of nine rounds it is the second lowest to the second highest: 3 % to either side."""
    verdict = faster(view(evaluations(drifting(cookie, 1000.0, noise=0.01))))
    assert verdict.effect is not None
    bounds = verdict.effect.low, verdict.effect.high
    assert bounds == pytest.approx((0.97 * cookie, 1.03 * cookie))
    assert verdict.outcome == outcome


def test_the_rounds_decide_also_where_both_were_timed_alone() -> None:
    apart = efficiency("cookie", 4.0), efficiency("single_stream", 1000.0)
    assert faster(view(*apart)).outcome == "does not hold"
    found = faster(view(*apart, evaluations(drifting(2.0, 1000.0))))
    assert found.outcome == "holds"
    assert "COOKIE 2.2 s and the single-stream 18.3 min (extrapolated" in found.reason


def test_sections_without_rounds_say_that_the_drift_is_not_in_the_range() -> None:
    apart = efficiency("cookie", 2.0, spread=0.1), efficiency("single_stream", 1000.0)
    reason = faster(view(*apart)).reason
    assert "2.00 per mille (range over repeats 1.90 to 2.10; the two were timed one" in reason
    assert "one after the other and not in turns, so what the machine drifts by" in reason


def test_few_rounds_have_a_range() -> None:
    one, two = (evaluation(1.0) | {"repeats": list(times)} for times in ((2, 3, 5), (1000,) * 3))
    ratio = per_mille_of_rounds(one, two)
    assert (ratio.value, ratio.low, ratio.high) == (3.0, 2.0, 5.0)
    assert ratio.bounds == "range over 3 rounds in turns"
    with pytest.raises(ValueError, match="shorter"):
        per_mille_of_rounds(one, two | {"repeats": [1.0]})


def test_of_the_rounds_too_each_is_taken_at_its_best() -> None:
    """Compiling gains COOKIE a half and costs the single-stream something."""
    rounds = drifting(4.0, 1000.0)
    rounds["cookie_compiled"] = [each / 2 for each in rounds["cookie"]]
    rounds["single_stream_compiled"] = [1.1 * each for each in rounds["single_stream"]]
    shown = view(efficiency("single_stream_compiled", 1.0), evaluations(rounds))
    found = faster(shown)
    assert found.outcome == "holds"
    assert "COOKIE (compiled) 2.2 s and the single-stream 18.3 min" in found.reason
    assert "2.00 per mille (95 % interval" in found.reason
    assert "; neither compiled, 4.00 per mille (4.00 to 4.00)" in found.reason
    best = fastest(shown, "cookie"), fastest(shown, "single_stream")
    assert [one.name for one in best if one] == ["cookie_compiled", "single_stream"]


def test_rounds_that_lack_a_side_are_not_compared() -> None:
    lonely = evaluations({"cookie": [1.0] * 6}, left_out={"single_stream": "It did not fit."})
    apart = efficiency("cookie", 4.0), efficiency("single_stream", 1000.0)
    assert in_turns(view(lonely)) == {}
    assert faster(view(*apart, lonely)).reason == faster(view(*apart)).reason
    compiled = evaluations({"cookie": [1.0] * 6, "single_stream_compiled": [500.0] * 6})
    found = faster(view(*apart, compiled))
    assert "the single-stream (compiled) 500 s" in found.reason
    assert "neither compiled" not in found.reason


def test_the_gallery_is_that_of_the_times_that_are_compared() -> None:
    """3/4 encode and 1/4 ranks: (1.5 n + 0.5 n n) / (750 n + 250 n n) is 2/1000 at any n."""
    found = faster(view(efficiency("cookie", 9.0), evaluations(drifting(2.0, 1000.0))))
    assert "by the measured rates" not in found.reason
    rounds = drifting(4.0, 1000.0)
    record = evaluations(rounds)
    record.values["systems"]["cookie"]["parts"] = {"encoding": 4.4, "ranking": 0.0}
    full, reference = (record.values["systems"][name] for name in rounds)
    size = gallery_for(3.0, full, reference)
    assert size is not None
    assert f"at about {significant(size)} images" in faster(view(record)).reason


def test_per_mille_is_bounded_by_worst_against_best() -> None:
    ratio = per_mille(evaluation(2.0, spread=0.5), evaluation(1000.0, spread=100.0))
    assert ratio.value == pytest.approx(2.0)
    assert ratio.low == pytest.approx(1.5 / 1.1)
    assert ratio.high == pytest.approx(2.5 / 0.9)


@given(st.floats(1e-3, 10), st.floats(1e-9, 1e-3), st.floats(1e-3, 10), st.floats(1e-2, 10))
def test_the_gallery_found_gives_the_ratio_asked_for(
    linear: float, square: float, their_linear: float, their_square: float
) -> None:
    images = 40
    ours = evaluation(1.0, parts=(linear * images, square * images**2))
    theirs = evaluation(1.0, parts=(their_linear * images, their_square * images**2))
    size = gallery_for(3.0, ours, theirs)
    if size is not None:
        ratio = (linear + square * size) / (their_linear + their_square * size)
        assert ratio == pytest.approx(3e-3, rel=1e-6)


def test_no_gallery_is_large_enough_when_ranking_alone_is_too_slow() -> None:
    ours = evaluation(1.0, parts=(1.0, 1.0))
    assert gallery_for(3.0, ours, evaluation(1.0, parts=(1.0, 10.0))) is None
