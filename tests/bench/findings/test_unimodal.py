"""Measures within one modality: means over seeds and queries, paired improvements, verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from bench.findings import unimodal_claims
from bench.findings.columns import NO_REFERENCE, REFERENCE_ROW
from bench.findings.sections import View, views
from bench.findings.unimodal import (
    Improvement,
    improvement,
    improvement_columns,
    measure,
    measure_columns,
)
from bench.findings.unimodal_claims import UnimodalClaim, image_retrieval_improves, improves
from bench.layout import Missing
from bench.records import Record
from tests.bench.hand_made import record

CLAIM = UnimodalClaim("C5 (text matching improves)", 3.9, "texts", "captions", "map_r", "mAP@R")


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


def test_the_spread_of_improvements_is_over_the_seeds_of_both() -> None:
    base, gains = noise(40, 0), {0: 1.1, 1: 1.3, 2: 5.0}
    ours = [texts("cookie", [gain * x for x in base], seed) for seed, gain in gains.items()]
    theirs = [texts("dual_stream", base, seed) for seed in (1, 0, 4)]
    one, two = (measure(made, "captions", "map_r") for made in (ours, theirs))
    assert one is not None
    assert two is not None
    found = improvement(one, two)
    assert found is not None
    assert found.by_seed is not None
    assert found.seeds == 2
    assert found.by_seed.estimate == pytest.approx(20)


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


def test_several_seeds_are_in_the_interval_that_decides() -> None:
    base = [texts("dual_stream", noise(40, 2), seed) for seed in (0, 1)]
    apart = [texts("cookie", noise(mean, 1), seed) for seed, mean in enumerate((42, 60))]
    found = improves(view(*base, *apart), CLAIM)
    assert found.effect is not None
    assert (found.outcome, found.effect.seeds) == ("undecided", 2)
    assert found.effect.low < 0 < found.effect.high
    assert "over images and 2 seeds" in found.reason
    assert "not in the interval" not in found.reason  # the spread between trainings is
    close = [texts("cookie", noise(mean, 1), seed) for seed, mean in enumerate((59, 60))]
    assert improves(view(*base, *close), CLAIM).outcome == "holds"


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.5, 9.0, "holds"),
        (0.0, 9.0, "undecided"),
        (-9.0, 0.0, "undecided"),
        (-9.0, -0.5, "does not hold"),
    ],
)
def test_an_interval_decides_at_0(
    low: float, high: float, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Improvement((low + high) / 2, low, high, 0.5, 1, None)
    monkeypatch.setattr(unimodal_claims, "improvement", lambda *_: found)
    section = view(texts("cookie", noise(40, 1)), texts("dual_stream", noise(40, 2)))
    assert improves(section, CLAIM).outcome == outcome


def test_missing_records_are_not_measured_yet() -> None:
    found = improves(view(texts("cookie", [1.0, 2.0])), CLAIM)
    assert found.outcome == "not measured yet"
    assert found.effect is None


def test_the_effect_is_what_the_sentence_says() -> None:
    found = improves(view(texts("cookie", noise(60, 1)), texts("dual_stream", noise(40, 2))), CLAIM)
    effect = found.effect
    assert effect is not None
    assert effect.unit == "% mAP@R"
    assert effect.low < effect.value < effect.high
    assert effect.p_value is not None
    assert effect.p_value < 0.05  # as the interval leaves out 0
    assert f"{effect.value:+.1f} ({effect.low:+.1f} to {effect.high:+.1f}) %" in found.reason


def images(system: str, values: list[float], *truths: str) -> Record:
    """Return image retrieval judged by ``truths``, by each of which it is equally good."""
    rows = list(range(len(values)))
    samples = {truth: {"query": rows, "ndcg": values} for truth in truths}
    return record("images", system, {}, samples=samples)


@pytest.mark.parametrize(
    ("truths", "name"),
    [
        (("caption_agreement", "expert", "crowd", "scene_graph"), "scene graph"),
        (("caption_agreement", "expert", "crowd"), "people (crowd)"),
        (("caption_agreement", "expert"), "people (experts)"),
    ],
)
def test_image_retrieval_is_judged_by_the_first_truth_that_is_no_proxy(
    truths: tuple[str, ...], name: str
) -> None:
    found = image_retrieval_improves(
        view(images("cookie", noise(60, 1), *truths), images("dual_stream", noise(40, 2), *truths))
    )
    assert found.outcome == "holds"
    assert found.reason.startswith(f"nDCG@10 by {name} ")


def test_the_proxy_alone_judges_nothing() -> None:
    pair = (images(name, noise(60, 1), "caption_agreement") for name in ("cookie", "dual_stream"))
    assert image_retrieval_improves(view(*pair)).outcome == "not measured yet"


@pytest.mark.parametrize(("first", "second"), [(60, 40), (40, 60), (40, 40), (40.7, 40)])
def test_the_p_value_agrees_with_the_interval(first: float, second: float) -> None:
    """Both are read off the same resamples: one leaves out 0 just where the other is small."""
    made = [texts("cookie", noise(first, 1)), texts("dual_stream", noise(second, 2))]
    one, two = (measure([item], "captions", "map_r") for item in made)
    assert one is not None
    assert two is not None
    found = improvement(one, two)
    assert found is not None
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)
    other = improvement(two, one)
    assert other is not None
    assert other.p_value == found.p_value


def test_columns_of_a_measure_and_of_an_improvement() -> None:
    section = view(texts("cookie", noise(60, 1)), texts("dual_stream", noise(40, 2)))
    records = section.of("texts", "cookie")
    columns = measure_columns(records, "captions", "map_r", "none")
    low, high = columns["map_r_low"], columns["map_r_high"]
    assert columns["map_r_text"] == f"{columns['map_r']:.1f} ({low:.1f} to {high:.1f})"
    assert set(measure_columns(records, "captions", "x", "none").values()) == {Missing("none")}
    gain = improvement_columns(section, "texts", "cookie", "captions", "map_r")
    assert gain["improvement_low"] < gain["improvement"] < gain["improvement_high"]
    itself = improvement_columns(section, "texts", "dual_stream", "captions", "map_r")
    assert set(itself) == set(gain)
    assert set(itself.values()) == {REFERENCE_ROW}
    alone = view(*records)
    gaps = improvement_columns(alone, "texts", "cookie", "captions", "map_r")
    assert set(gaps.values()) == {NO_REFERENCE}
