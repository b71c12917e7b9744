"""MLPerf's generator around our timer: the same calls, and never a shorter time than ours."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.measure.percentiles import percentile
from bench.measure.timer import timer_for
from bench.rivals import loadgen
from bench.rivals.loadgen import single_stream

SUMMARY = """
Min latency (ns)                : 2001303
Max latency (ns)                : 14051287
Mean latency (ns)               : 3774007
50.00 percentile latency (ns)   : 2007633
90.00 percentile latency (ns)   : 8093776
95.00 percentile latency (ns)   : 9872667
99.00 percentile latency (ns)   : 14051287
"""


def test_every_call_takes_at_least_as_long_by_their_clock_as_by_ours(tmp_path: Path) -> None:
    """Their clock starts before ours and stops after it, so all order statistics are larger."""
    pytest.importorskip("mlperf_loadgen")
    timer, ours = timer_for("cpu"), list[float]()
    theirs = single_stream(lambda: ours.append(timer.seconds(lambda: None)), 500, tmp_path)
    assert theirs.queries == len(ours) == 500
    assert theirs.least >= min(ours)
    assert theirs.most >= max(ours)
    assert theirs.mean >= math.fsum(ours) / 500
    for share, seconds in theirs.percentiles.items():
        own = percentile(ours, share)
        assert own is not None
        assert seconds >= own - 1e-9


def test_the_summary_is_read_in_seconds() -> None:
    got = loadgen._parse(SUMMARY, 100)
    assert got.queries == 100
    assert (got.least, got.most) == pytest.approx((0.002001303, 0.014051287))
    assert got.mean == pytest.approx(0.003774007)
    assert got.percentiles == pytest.approx(
        {0.5: 0.002007633, 0.9: 0.008093776, 0.95: 0.009872667, 0.99: 0.014051287}
    )


def test_a_summary_without_a_line_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no 'Mean latency \(ns\)'"):
        loadgen._parse(SUMMARY.replace("Mean", "Typical"), 100)
