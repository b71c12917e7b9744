"""C3 in worlds where it holds, does not hold, or cannot be decided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.findings.inference_time import faster, gallery_for, per_mille
from bench.findings.sections import View, views
from bench.records import Record
from tests.bench.hand_made import efficiency, evaluation, latency


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
