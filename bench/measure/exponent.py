"""How a time grows with a size: the exponent of the power law that fits best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """seconds = factor * size ** exponent, fitted by least squares of logarithms.

    Attributes:
        low, high: interval of the exponent by Student's t; None below three points. It says how
            well one power law fits, not how certain the times are.
        points: sizes fitted. local: exponent between the two largest sizes alone.
    """

    exponent: float
    factor: float
    low: float | None
    high: float | None
    local: float
    points: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {name: getattr(self, name) for name in self.__slots__}


def fit_power_law(
    sizes: Sequence[float], seconds: Sequence[float], confidence: float = CONFIDENCE
) -> PowerLaw | None:
    """Return the fit, or None where there are fewer than two different sizes.

    Args:
        sizes: positive.
        seconds: positive, one a size.
        confidence: coverage of the interval.

    Raises:
        ValueError: lengths differ, or a value is not positive.
    """
    x, y = np.asarray(sizes, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
    if x.shape != y.shape or not bool((x > 0).all() and (y > 0).all()):
        raise ValueError("a power law needs as many positive times as positive sizes")
    if len(np.unique(x)) < 2:
        return None
    x, y = np.log(x), np.log(y)
    spread = x - x.mean()
    slope = float(spread @ y / (spread @ spread))
    intercept = float(y.mean() - slope * x.mean())
    low, high = None, None
    if len(x) > 2:
        freedom, residual = len(x) - 2, y - intercept - slope * x
        error = float(residual @ residual / freedom / (spread @ spread)) ** 0.5
        half = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error
        low, high = slope - half, slope + half
    first, second = np.argsort(x)[-2:]
    local = float((y[second] - y[first]) / (x[second] - x[first]))
    return PowerLaw(slope, float(np.exp(intercept)), low, high, local, len(x))
