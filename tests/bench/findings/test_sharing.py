"""C6 is judged by the rows that lack the sharing, over several seeds."""

from __future__ import annotations

import re

import pytest

from bench.ablation.variants import VARIANTS
from bench.findings.sections import View, views
from bench.findings.seed_contrasts import contrast
from bench.findings.sharing import BESIDE, DECIDING, sharing_aligns
from bench.findings.verdicts import CERTAIN
from bench.records import Record
from tests.bench.hand_made import uniform


def section(good: dict[str, int], seeds: int) -> View:
    records: list[Record] = [
        uniform(name, count, seed=seed) for name, count in good.items() for seed in range(seeds)
    ]
    (only,) = views(records)
    return only


AHEAD = {"cookie": 30, "unshared": 10, "unshared_equal": 12, "token_mlp": 8}


def test_names_are_rows_of_the_core() -> None:
    core = {variant.name for variant in VARIANTS if variant.core}
    assert core >= {*DECIDING, *BESIDE, "cookie"}


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, "holds"),
        ({"unshared": 30}, "undecided"),
        ({"token_mlp": 30}, "undecided"),
        ({"unshared_equal": 39}, "does not hold"),
        ({"unshared": 39, "token_mlp": 30}, "does not hold"),
    ],
)
def test_outcomes(changed: dict[str, int], outcome: str) -> None:
    assert sharing_aligns(section(AHEAD | changed, 5)).outcome == outcome


@pytest.mark.parametrize(
    ("others", "outcome"),
    [((20, 20), "undecided"), ((39, 20), "does not hold"), ((8, 8), "does not hold")],
)
def test_behind_one_of_three_takes_more_than_chance_in_three(
    others: tuple[int, int], outcome: str
) -> None:
    """COOKIE is behind at p = 0.03; with the other two clear it is the only one in question."""
    goods = {"cookie": (20,) * 5, "unshared": (22, 24, 21, 21, 23)}
    goods |= {
        name: (n,) * 5 for name, n in zip(("unshared_equal", "token_mlp"), others, strict=True)
    }
    (view,) = views(
        [uniform(name, n, seed=s) for name, g in goods.items() for s, n in enumerate(g)]
    )
    told = contrast(view, "cookie", "unshared")
    assert told is not None
    assert told.sign < 0
    assert 0.05 / 3 < told.p_value < 0.05
    verdict = sharing_aligns(view)
    assert verdict.outcome == outcome
    alone = "behind one of 3 taken alone, but not among 3 comparisons at once (Holm's p = 0."
    assert (alone in verdict.reason) == (outcome == "undecided")


def test_one_seed_decides_nothing_and_says_so() -> None:
    verdict = sharing_aligns(section(AHEAD, 1))
    assert verdict.outcome == "undecided"
    assert "one seed" in verdict.reason
    assert "5 are wanted" in verdict.reason


def test_few_seeds_are_named_and_enough_are_not() -> None:
    assert sharing_aligns(section(AHEAD, 2)).reason.endswith(" images and 2 seeds, 5 are wanted.")
    assert sharing_aligns(section(AHEAD, 5)).reason.endswith(
        "; 95 % intervals over images and 5 seeds."
    )


def test_the_sentence_holds_every_number() -> None:
    beside = {"cookie_image_text": 20, "two_views": 29}
    reason = sharing_aligns(section(AHEAD | beside, 2)).reason
    found = re.findall(r" ([+-]\d+\.\d) \(", reason)
    assert found == ["+300.0", "+270.0", "+330.0", "+150.0", "+15.0"]


def test_the_same_answers_hide_no_difference_of_zero() -> None:
    reason = sharing_aligns(section(AHEAD | {"two_views": 30}, 2)).reason
    assert "no difference, the same answers)" in reason
    assert "0.0 would have shown" not in reason


def test_missing_rows_are_named() -> None:
    verdict = sharing_aligns(section({"cookie": 3, "unshared": 2}, 2))
    assert verdict.outcome == "not measured yet"
    assert verdict.effect is None
    assert "unshared_equal, token_mlp" in verdict.reason


@pytest.mark.parametrize(
    ("changed", "rival", "value"),
    [
        ({}, "unshared_equal", 270),
        ({"token_mlp": 29}, "token_mlp", 15),
        ({"unshared": 39, "token_mlp": 30}, "unshared", -135),
    ],
)
def test_the_effect_is_the_least_clear_lead(
    changed: dict[str, int], rival: str, value: float
) -> None:
    effect = sharing_aligns(section(AHEAD | changed, 2)).effect
    assert effect is not None
    assert effect.value == pytest.approx(value)
    assert effect.unit == f"RSUM points against {DECIDING[rival]}"
    assert effect.low <= effect.value <= effect.high
    assert effect.bounds == CERTAIN


def test_rows_of_fewer_seeds_say_so() -> None:
    records = [uniform(name, AHEAD[name], seed=seed) for name in AHEAD for seed in range(3)]
    records += [uniform("two_views", 10, seed=seed) for seed in range(2)]
    (view,) = views(records)
    reason = sharing_aligns(view).reason
    assert "over images and 3 seeds" in reason
    assert reason.count(", 2 seeds)") == 1


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_effect_says_on_how_many_seeds_it_rests(seeds: int) -> None:
    effect = sharing_aligns(section(AHEAD, seeds)).effect
    assert effect is not None
    assert effect.seeds == seeds
    assert effect.p_value is not None
    assert effect.p_value < 0.05
