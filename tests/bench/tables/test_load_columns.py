"""The highest rate as it is shown: as a limit, as known from below, as hardly tested."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.findings.sections import views
from bench.layout import Column, Footnotes, Marked, bounded, show
from bench.tables.load_columns import load_columns
from tests.bench.hand_made import load, whole_section


def searched(offered: dict[float, float], seconds: float, **values: Any) -> Any:  # noqa: ANN401
    """Return how the highest rate is shown, of a search with these rates and 99th percentiles."""
    made = load("cookie", 180.0, 700.0, max(rate for rate, p99 in offered.items() if p99 <= 0.1))
    opened = {name: value for name, value in made.values["open"].items() if name != "at_least"}
    opened["probes"] = [
        {"offered_rate": rate, "seconds": seconds, "latency": {"n": 500, "p99": p99}}
        for rate, p99 in offered.items()
    ]
    made.values["open"] = {**opened, **values}  # type: ignore[index]
    (view,) = views([*whole_section(), made])
    value = load_columns(view, "cookie")["highest_rate"]
    return value, show(value, Column("highest_rate", "highest rate", bounded), Footnotes())


def test_a_rate_that_nothing_missed_is_shown_as_known_from_below() -> None:
    value, printed = searched({500.0: 0.04, 600.0: 0.05}, 6.1, at_least=True)
    assert value == Marked(
        600.0, "No rate that was tried missed the limit, so the highest may lie above."
    )
    assert printed.startswith("≥ 600 [")
    assert searched({500.0: 0.04, 600.0: 0.2}, 6.1, at_least=False) == (500.0, "500")


def test_a_rate_that_was_tried_for_a_moment_says_so() -> None:
    value, printed = searched({500.0: 0.04, 600.0: 0.2}, 0.5, at_least=False)
    assert (value.value, printed.split()[0]) == (500.0, "500")
    assert "lasted 500 ms, so the limit of 100 ms was hardly tested" in value.remark


def test_an_early_record_is_shown_at_the_rate_at_which_its_queries_arrived() -> None:
    """Its gaps, drawn again: 500 of them took 1.096 times as long as the rate says."""
    value, printed = searched({500.0: 0.04, 4284.87: 0.009}, 0.132)
    end = np.cumsum(np.random.default_rng(0).exponential(1 / 4284.87, 500))[-1]
    assert value.value == pytest.approx(500 / end)
    assert printed.startswith("≥ 3,909 [")
    assert "earlier search" in value.remark
    assert "lasted 132 ms" in value.remark
    value, printed = searched({67.7448: 0.07, 80.13: 0.2}, 8.1)
    assert printed.startswith("61.8 [")
    assert "hardly tested" not in value.remark
