"""The power law against its own inverse, numpy's least squares, and its promised coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.exponent import fit_power_law


@given(st.floats(-2, 3), st.floats(1e-6, 1e3))
def test_an_exact_law_is_found(exponent: float, factor: float) -> None:
    sizes = [1e3, 1e4, 1e5, 1e6]
    law = fit_power_law(sizes, [factor * size**exponent for size in sizes])
    assert law is not None
    assert law.exponent == pytest.approx(exponent, abs=1e-9)
    assert law.local == pytest.approx(exponent, abs=1e-9)
    assert law.factor == pytest.approx(factor, rel=1e-6)
    assert law.low is not None
    assert law.high is not None
    assert law.high - law.low < 1e-4
    assert law.points == 4


def test_noise_against_numpy() -> None:
    """The slope and its standard error are those of ``numpy.polyfit``; t is 4.303 at 2 degrees."""
    x = np.log([1e3, 1e4, 1e5, 1e6])
    y = np.array([-6.0, -5.5, -3.0, -1.2])
    (slope, _), covariance = np.polyfit(x, y, 1, cov="unscaled")
    residual = y - np.polyval(np.polyfit(x, y, 1), x)
    error = np.sqrt(covariance[0, 0] * (residual**2).sum() / 2)
    law = fit_power_law(np.exp(x).tolist(), np.exp(y).tolist())
    assert law is not None
    assert law.low is not None
    assert law.exponent == pytest.approx(slope)
    assert law.exponent - law.low == pytest.approx(4.302653 * error, rel=1e-5)
    assert law.local == pytest.approx(1.8 / np.log(10))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    draws, sizes = np.random.default_rng(0), np.array([1e3, 1e4, 1e5, 1e6])
    covered = 0
    for _ in range(400):
        law = fit_power_law(sizes.tolist(), (sizes**0.7 * np.exp(draws.normal(0, 0.2, 4))).tolist())
        assert law is not None
        assert law.low is not None
        assert law.high is not None
        covered += law.low <= 0.7 <= law.high
    assert covered / 400 == pytest.approx(0.95, abs=0.035)


def test_few_sizes() -> None:
    two = fit_power_law([10, 100], [1.0, 10.0])
    assert two is not None
    assert (two.exponent, two.low, two.high) == (pytest.approx(1.0), None, None)
    assert two.to_dict()["points"] == 2
    assert fit_power_law([10], [1.0]) is None
    assert fit_power_law([10, 10], [1.0, 2.0]) is None
    assert fit_power_law([], []) is None


@pytest.mark.parametrize(("sizes", "seconds"), [([1, 2], [1]), ([0, 1], [1, 1]), ([1, 2], [0, 1])])
def test_what_has_no_logarithm_is_refused(sizes: list[float], seconds: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        fit_power_law(sizes, seconds)
