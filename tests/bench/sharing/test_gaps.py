"""Gaps are those of the records, at the places that the records say."""

from __future__ import annotations

import dataclasses

import pytest

from bench.ablation.sharing_points import OWN, SHARES, Point
from bench.findings.sections import View, views
from bench.records import Record
from bench.sharing.gaps import QUESTIONS, absent, all_gaps, training_pairs, trend
from tests.bench.hand_made import record, train, uniform

SEEDS = (0, 1, 2)


def both(suffix: str, ours: int, theirs: int, rival: str = "unshared_equal") -> list[Record]:
    """Return three seeds of COOKIE and of a rival at a point."""
    point = Point(suffix)
    return [
        uniform(point.system(name), good, seed=seed)
        for name, good in (("cookie", ours), (rival, theirs))
        for seed in SEEDS
    ]


def section(*records: Record) -> View:
    (only,) = views(records)
    return only


def test_gaps_are_differences_of_rsum_by_place() -> None:
    view = section(*both("tenth", 20, 8), *both("half", 22, 20), *both("", 30, 30))
    found = all_gaps(view)["pairs"]
    assert [gap.place for gap in found] == [8, 40, 80]  # of the 80 training captions
    assert [gap.found.difference.value for gap in found] == pytest.approx([180, 30, 0])
    assert [gap.sign for gap in found] == [1, 0, 0]
    assert [gap.at for gap in found] == ["8 pairs", "40 pairs", "80 pairs"]
    assert {gap.question.rival for gap in found} == {"unshared_equal"}


def test_passes_are_pairs_of_all_steps_over_pairs_there_are() -> None:
    view = section(*both("tenth", 20, 8))
    (gap,) = all_gaps(view)["pairs"]
    settings = view.newest.config["train"]
    assert gap.passes == settings["steps"] * settings["batch_size"] / 8


def test_the_own_point_is_on_both_axes() -> None:
    view = section(*both("", 30, 20), *both("depth_4", 30, 28))
    found = all_gaps(view)
    assert [gap.place for gap in found["pairs"]] == [80]
    assert [(gap.place, gap.at) for gap in found["depth"]] == [(1, "1 layer"), (4, "4 layers")]


def test_depth_and_steps_are_axes_once_there_is_more_than_the_presets_own_number() -> None:
    own = [*both("", 30, 20), *both("", 30, 10, "single_stream")[3:]]
    alone = all_gaps(section(*own))
    assert (alone["depth"], alone["steps"]) == ([], [])
    assert [gap.place for gap in alone["pairs"]] == [80]
    view = section(*own, *both("steps_4", 38, 39, "single_stream"))
    found = all_gaps(view)["steps"]
    steps = view.newest.config["train"]["steps"]
    assert {gap.question.rival for gap in found} == {"single_stream"}
    assert [gap.place for gap in found] == [steps, 4 * steps]
    assert [gap.at for gap in found] == [f"{steps:,} steps", f"{4 * steps:,} steps"]
    assert found[1].passes == 4 * found[0].passes
    assert [gap.found.difference.value for gap in found] == pytest.approx([300, -15])
    assert "single_stream" not in {gap.question.rival for gap in all_gaps(view)["pairs"]}


def test_questions_are_kept_apart() -> None:
    view = section(*both("", 30, 20), *both("", 30, 10, "cookie_image_text")[3:])
    found = {gap.question.rival: gap.found.difference.value for gap in all_gaps(view)["pairs"]}
    assert found == pytest.approx({"unshared_equal": 150, "cookie_image_text": 300})
    assert len({question.marker for question in QUESTIONS}) == len(QUESTIONS)


def test_one_seed_tells_nothing() -> None:
    view = section(uniform("cookie", 30), uniform("unshared_equal", 1))
    (gap,) = all_gaps(view)["pairs"]
    assert gap.found.difference.significant
    assert gap.sign == 0


def test_pairs_are_as_training_counted_them() -> None:
    counted = dict(train("cookie_half").values) | {"training_pairs": 37}
    view = section(uniform("cookie_half", 3), record("train", "cookie_half", counted))
    half = next(point for point in SHARES if point.share == 0.5)
    assert training_pairs(view, half) == 37
    assert training_pairs(view, OWN) == 80


def test_the_trend_is_the_later_gap_minus_the_earlier() -> None:
    view = section(*both("tenth", 20, 8), *both("", 30, 28))
    first, last = all_gaps(view)["pairs"]
    found = trend(view, first, last)
    assert found is not None
    assert found.difference.value == pytest.approx(30 - 180)
    assert found.sign == -1


def test_what_is_absent_has_a_reason() -> None:
    records = both("", 30, 20)
    view = section(*records)
    found = absent(view, "pairs", all_gaps(view)["pairs"])
    few = "training images do not fill a batch of"
    assert [point.share for point, _ in found] == [0.1, 0.25, 0.5, 4, 16]
    batch = view.newest.config["train"]["batch_size"]
    assert [reason for _, reason in found] == [
        *(f"{images} {few} {batch}" for images in (4, 10, 20)),
        *["not trained and evaluated yet"] * 2,
    ]
    stamps = [dataclasses.replace(made.stamp, dataset="flickr8k") for made in records]
    pairs = zip(records, stamps, strict=True)
    photographs = section(*(dataclasses.replace(made, stamp=stamp) for made, stamp in pairs))
    reasons = {point.share: reason for point, reason in absent(photographs, "pairs", [])}
    assert "no further training pairs" in reasons[16]
    assert reasons[0.1] == f"4 {few} {batch}"
