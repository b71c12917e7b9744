"""Measures within one modality: means over seeds and queries, paired improvements, verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from bench.records import Record
from bench.sections import View, views
from bench.unimodal import Claim, improvement, improves, measure
from tests.bench.hand_made import record

CLAIM = Claim("C5 (text matching improves)", 3.9, "texts", "captions", "map_r", "mAP@R")


def texts(system: str, values: list[float], seed: int = 0, **extra: object) -> Record:
    rows = list(range(len(values)))
    samples = {"captions": {"query": rows, "image": [r // 2 for r in rows], "map_r": values}}
    for k in (1, 5, 10):
        samples["captions"][f"r{k}"] = [100.0 * (value > 50) for value in values]
    reason = {"reason": "not here."}
    found = {
        "captions": len(values),
        "sentences": dict.fromkeys(
            ("sick", "sts_b", "sts_images_2014", "sts_images_2015", "cxc"), reason
        ),
        "mrpc": reason,
        "judgments": reason,
    }
    return record("texts", system, found | extra, seed=seed, samples=samples)


def noise(mean: float, seed: int) -> list[float]:
    return (mean + np.random.default_rng(seed).normal(0, 5, 60)).tolist()


def view(*records: Record) -> View:
    (only,) = views(records)
    return only


def test_seeds_are_averaged_query_by_query() -> None:
    found = measure([texts("cookie", [10, 30]), texts("cookie", [30, 90], 1)], "captions", "map_r")
    assert found is not None
    assert found.values.tolist() == [20, 60]
    assert (found.mean, found.seeds) == (40, 2)
    assert found.images.tolist() == [0, 0]
    assert measure([texts("cookie", [1.0])], "captions", "other") is None
    assert measure([], "captions", "map_r") is None


def test_the_interval_is_of_whole_images() -> None:
    """The two captions of an image agree here: the interval is that of half as many queries."""
    per_image = np.random.default_rng(0).normal(50, 10, 100)
    found = measure([texts("cookie", np.repeat(per_image, 2).tolist())], "captions", "map_r")
    assert found is not None
    low, high = found.interval
    assert (high - low) / 2 == pytest.approx(1.96 * per_image.std() / 10, rel=0.08)


def test_improvement_is_relative_and_paired() -> None:
    base = noise(40, 0)
    pair = [texts("cookie", [1.1 * x for x in base]), texts("dual_stream", base)]
    one, two = (measure([made], "captions", "map_r") for made in pair)
    assert one is not None
    assert two is not None
    found = improvement(one, two)
    assert found is not None
    assert (found.percent, found.low, found.high) == pytest.approx((10, 10, 10), abs=1e-4)
    none = measure([texts("x", [0.0, 0.0])], "captions", "map_r")
    assert none is not None
    assert improvement(one, none) is None


@pytest.mark.parametrize(
    ("ours", "outcome"), [(60, "holds"), (40.2, "undecided"), (30, "does not hold")]
)
def test_verdicts(ours: float, outcome: str) -> None:
    found = improves(
        view(texts("cookie", noise(ours, 1)), texts("dual_stream", noise(40, 2))), CLAIM
    )
    assert found.outcome == outcome
    assert "3.9 %" in found.reason
    assert "one seed" in found.reason


def test_missing_records_are_undecided() -> None:
    assert improves(view(texts("cookie", [1.0, 2.0])), CLAIM).outcome == "undecided"
