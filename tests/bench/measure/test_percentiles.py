"""Percentiles and the interval of a median against slow oracles."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.measure.percentiles import (
    Interval,
    median_interval,
    name,
    percentile,
    rank_interval,
    ratio_interval,
    required_samples,
    summary,
)

SAMPLES = st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("share", "needed"),
    [(0.5, 1), (0.1, 1), (0.9, 44), (0.95, 90), (0.99, 459), (0.999, 4603)],
)
def test_samples_needed_are_those_of_mlperf(share: float, needed: int) -> None:
    assert required_samples(share) == needed


@pytest.mark.parametrize("share", [0.75, 0.9, 0.95, 0.99])
def test_needed_samples_are_the_fewest_with_one_beyond_in_99_of_100_cases(share: float) -> None:
    needed = required_samples(share)
    assert 1 - share**needed >= 0.99
    assert 1 - share ** (needed - 1) < 0.99


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 99.0])
def test_a_share_outside_zero_and_one_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        required_samples(share)


@pytest.mark.parametrize(("share", "needed"), [(0.9, 44), (0.95, 90), (0.99, 459)])
def test_a_percentile_is_none_one_sample_short(share: float, needed: int) -> None:
    samples = [float(number) for number in range(needed)]
    assert percentile(samples[:-1], share) is None
    assert percentile(samples, share) is not None


def test_the_percentile_is_the_nearest_rank() -> None:
    thousand = [float(number) for number in range(1, 1001)]
    assert percentile(thousand[::-1], 0.99) == 990.0
    assert percentile(thousand, 0.95) == 950.0
    assert percentile(thousand, 0.5) == 500.5
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0


@given(SAMPLES, st.sampled_from([0.5, 0.6, 0.75]))
def test_percentile_agrees_with_counting(samples: list[float], share: float) -> None:
    got = percentile(samples, share)
    if got is None:
        assert len(samples) < required_samples(share)
        return
    below = sum(sample <= got for sample in samples)
    assert below >= math.floor(share * len(samples))
    assert min(samples) <= got <= max(samples)


def test_the_median_interval_is_that_of_all_possible_resamples() -> None:
    """All 7 ** 7 resamples of seven values, enumerated."""
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    draws = np.array(list(itertools.product(range(7), repeat=7)), dtype=np.int8)
    medians = np.sort(np.median(values[draws], axis=1))
    for confidence in (0.5, 0.7, 0.8, 0.95, 0.999):
        tail = (1 - confidence) / 2
        want_low = medians[math.ceil(tail * len(medians)) - 1]
        want_high = medians[math.ceil((1 - tail) * len(medians)) - 1]
        got = median_interval(list(values), confidence)
        assert got == Interval(want_low, want_high, confidence)


def test_the_median_interval_agrees_with_resampling() -> None:
    generator = np.random.default_rng(3)
    samples = np.sort(generator.lognormal(size=101))
    draws = generator.integers(0, 101, (20_000, 101))
    low, high = np.quantile(np.median(samples[draws], axis=1), [0.025, 0.975])
    got = median_interval([float(sample) for sample in samples])
    assert got is not None
    ranks = np.searchsorted(samples, [got.low, low, got.high, high])
    assert abs(ranks[0] - ranks[1]) <= 1
    assert abs(ranks[2] - ranks[3]) <= 1


def test_the_rank_interval_is_the_narrowest_that_counting_allows() -> None:
    """Each sample lies above the median or below, a fair coin: all 2 ** n throws are counted."""
    for size in range(6, 16):
        got = rank_interval([float(number) for number in range(1, size + 1)])
        assert got is not None
        low, high = int(got.low), int(got.high)
        assert high == size + 1 - low
        below = [sum(throw) for throw in itertools.product((0, 1), repeat=size)]
        held = sum(low <= count < high for count in below) / 2**size
        narrower = sum(low + 1 <= count < high - 1 for count in below) / 2**size
        assert held >= 0.95 > narrower
        assert held == pytest.approx(1 - 2 * stats.binom.cdf(low - 1, size, 0.5))


def test_the_rank_interval_asks_for_six_samples_in_any_order() -> None:
    assert rank_interval([5.0, 1.0, 4.0, 2.0, 3.0]) is None
    assert rank_interval([5.0, 1.0, 4.0, 2.0, 3.0, 9.0]) == Interval(1.0, 9.0)
    assert rank_interval([5.0, 1.0, 4.0, 2.0, 3.0, 9.0], 0.99) is None


def test_the_median_interval_covers_the_true_median() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for samples in generator.exponential(size=(400, 30)):
        interval = median_interval([float(sample) for sample in samples])
        assert interval is not None
        covered += interval.low <= math.log(2) <= interval.high
    assert 0.91 <= covered / 400 <= 0.99


@given(st.lists(st.floats(1e-6, 10.0), min_size=6, max_size=60), st.randoms())
def test_the_median_interval_holds_the_median_in_any_order(
    samples: list[float], random: object
) -> None:
    interval = median_interval(samples)
    assert interval is not None
    assert interval.low <= np.median(samples) <= interval.high
    assert {interval.low, interval.high} <= set(samples)
    random.shuffle(samples)  # type: ignore[attr-defined]
    assert median_interval(samples) == interval


@pytest.mark.parametrize("count", range(6))
def test_below_six_samples_no_interval_is_claimed(count: int) -> None:
    assert median_interval([1.0] * count) is None


def test_many_samples_narrow_the_interval_and_stay_finite() -> None:
    generator = np.random.default_rng(7)
    few = median_interval(list(generator.normal(size=50)))
    many = median_interval(list(generator.normal(size=200_000)))
    assert few is not None
    assert many is not None
    assert (many.high - many.low) * 20 < few.high - few.low


def test_a_summary_is_json_and_says_what_it_cannot_say() -> None:
    got = json.loads(json.dumps(summary([2.0, 1.0, 3.0])))
    assert got == {
        "n": 3,
        "mean": 2.0,
        "min": 1.0,
        "max": 3.0,
        "median_interval": None,
        "p50": 2.0,
        "p90": None,
        "p95": None,
        "p99": None,
    }


def test_an_empty_summary_has_the_same_keys_and_no_zeros() -> None:
    empty = summary([])
    assert empty.keys() == summary([1.0]).keys()
    assert empty.pop("n") == 0
    assert set(empty.values()) == {None}


def test_percentiles_are_named_as_usual() -> None:
    assert [name(share) for share in (0.5, 0.95, 0.99, 0.999)] == ["p50", "p95", "p99", "p99.9"]


def test_ratio_of_medians_against_scipy() -> None:
    generator = np.random.default_rng(3)
    above, below = generator.lognormal(0.5, 0.3, 60), generator.lognormal(0.0, 0.3, 45)
    found = ratio_interval(above.tolist(), below.tolist())
    expected = stats.bootstrap(
        (above, below),
        lambda a, b, axis: np.median(a, axis=axis) / np.median(b, axis=axis),
        n_resamples=5000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.02)


def test_ratio_of_medians_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        above, below = generator.exponential(2.0, 40), generator.exponential(1.0, 40)
        found = ratio_interval(above.tolist(), below.tolist())
        assert found is not None
        covered += found.low <= 2.0 <= found.high
    assert 180 <= covered <= 199


def test_ratio_of_few_samples_has_no_interval() -> None:
    assert ratio_interval([1.0] * 5, [1.0] * 50) is None
    same = ratio_interval([2.0] * 6, [1.0] * 6)
    assert same is not None
    assert (same.low, same.high) == (2.0, 2.0)
