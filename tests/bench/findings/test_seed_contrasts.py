"""A difference is over images and over seeds, and says what it could have seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.findings.differences import Difference
from bench.findings.sections import View, views
from bench.findings.seed_contrasts import POWER, Contrast, change, contrast
from bench.measure.statistics import SeedSpread
from bench.records import Record
from tests.bench.hand_made import CAPTIONS, IMAGES, accuracy, uniform


def view(*records: Record) -> View:
    (only,) = views(records)
    return only


def scattered(system: str, seed: int, rate: float, draw: int) -> Record:
    """Return accuracy in which each image is found with probability ``rate``."""
    found = np.random.default_rng(draw).random(IMAGES) < rate
    ranks = np.where(found, 0, 99)
    return accuracy(system, ranks.tolist(), ranks[np.arange(CAPTIONS) // 2].tolist(), seed=seed)


def test_only_seeds_that_both_have_are_compared() -> None:
    found = contrast(
        view(
            uniform("cookie", 30, seed=0),
            uniform("cookie", 20, seed=1),
            uniform("unshared", 10, seed=1),
            uniform("unshared", 0, seed=2),
        ),
        "cookie",
        "unshared",
    )
    assert found is not None
    assert found.seeds == (1,)
    assert found.difference.value == pytest.approx(600 * 10 / 40)
    assert contrast(view(uniform("cookie", 3)), "cookie", "unshared") is None


def test_seeds_are_averaged_and_their_spread_is_students() -> None:
    records = [uniform("cookie", good, seed=s) for s, good in enumerate((20, 24, 28))]
    records += [uniform("unshared", good, seed=s) for s, good in enumerate((19, 20, 21))]
    found = contrast(view(*records), "cookie", "unshared")
    assert found is not None
    differences = 600 / 40 * np.array([1.0, 4.0, 7.0])
    assert found.difference.value == pytest.approx(differences.mean())
    oracle = stats.t.interval(0.95, 2, differences.mean(), stats.sem(differences))
    assert found.by_seed is not None
    assert (found.by_seed.low, found.by_seed.high) == pytest.approx(oracle)
    images = POWER * found.difference.standard_error
    seeds = (stats.t.ppf(0.975, 2) + stats.t.ppf(0.8, 2)) * stats.sem(differences)
    assert found.detectable == pytest.approx(np.hypot(images, seeds))


def test_a_difference_that_only_some_seeds_show_is_none() -> None:
    clear = [uniform("cookie", 30, seed=s) for s in (0, 1)]
    steady = [*clear, *(uniform("unshared", 10, seed=s) for s in (0, 1))]
    wavering = [*clear, uniform("unshared", 5, seed=0), uniform("unshared", 28, seed=1)]
    first = contrast(view(*steady), "cookie", "unshared")
    second = contrast(view(*wavering), "cookie", "unshared")
    assert first is not None
    assert second is not None
    assert first.sign == 1
    assert second.difference.significant
    assert second.sign == 0
    assert (first.doubt, second.doubt) == ("", "too few seeds")
    backwards = contrast(view(*steady), "unshared", "cookie")
    assert backwards is not None
    assert backwards.sign == -1


def test_images_alone_tell_no_difference_between_trainings() -> None:
    found = contrast(view(uniform("cookie", 30), uniform("unshared", 10)), "cookie", "unshared")
    assert found is not None
    assert found.difference.significant
    assert (found.sign, found.doubt) == (0, "one seed")
    same = contrast(view(uniform("cookie", 30), uniform("unshared", 30)), "cookie", "unshared")
    assert same is not None
    assert (same.sign, same.doubt) == (0, "no difference")


@pytest.mark.parametrize("seeds", [3, 5])
def test_what_is_detectable_is_found_about_as_often_over_seeds(seeds: int) -> None:
    """Simulated on the rule itself: both intervals, one of them Student's, have to leave out 0."""
    draws = np.random.default_rng(seeds)
    images, spread_of_seeds, runs = 1.0, 2.0, 4000
    quantile = stats.t.ppf(0.975, seeds - 1)
    half = float(quantile * spread_of_seeds / seeds**0.5)
    difference = Difference(0, 0, 0, 0, 1, images, {})
    least = Contrast(difference, tuple(range(seeds)), SeedSpread(0, -half, half, 1.0)).detectable
    common = draws.normal(0, images, (runs, 1))
    by_seed = least + common + draws.normal(0, spread_of_seeds, (runs, seeds))
    mean, own = by_seed.mean(axis=1), stats.sem(by_seed, axis=1)
    told = (mean > 1.96 * images) & (mean > own * quantile)
    assert 0.72 < told.mean() < 0.92


def test_bounds_are_the_wider_interval_on_either_side_and_agree_with_the_sign() -> None:
    for draw in range(12):
        records = [
            scattered(name, seed, rate, 10 * draw + place + 2 * seed)
            for place, (name, rate) in enumerate((("cookie", 0.7), ("unshared", 0.45)))
            for seed in (0, 1, 2)
        ]
        found = contrast(view(*records), "cookie", "unshared")
        assert found is not None
        assert found.by_seed is not None
        low, high = found.bounds
        assert low == min(found.difference.low, found.by_seed.low)
        assert high == max(found.difference.high, found.by_seed.high)
        assert (found.sign != 0) == (low > 0 or high < 0)
        assert found.p_value == max(found.difference.p_value, found.by_seed.p_value)
        assert (found.sign != 0) == (found.p_value < 0.05)


def test_bounds_of_one_seed_are_those_over_images() -> None:
    found = contrast(view(uniform("cookie", 30), uniform("unshared", 20)), "cookie", "unshared")
    assert found is not None
    assert found.bounds == (found.difference.low, found.difference.high)


@pytest.mark.parametrize(
    ("images", "trainings", "sign", "doubt"),
    [
        ((0.5, 9.0), (0.5, 9.0), 1, ""),
        ((-9.0, -0.5), (-9.0, -0.5), -1, ""),
        ((0.0, 9.0), (0.5, 9.0), 0, "no difference"),
        ((-9.0, 0.0), (-9.0, -0.5), 0, "no difference"),
        ((-0.5, 9.0), (0.5, 9.0), 0, "no difference"),
        ((0.5, 9.0), (-0.5, 9.0), 0, "too few seeds"),
    ],
)
def test_a_sign_needs_the_images_and_the_trainings(
    images: tuple[float, float], trainings: tuple[float, float], sign: int, doubt: str
) -> None:
    low, high = images
    middle = (low + high) / 2
    difference = Difference(300 + middle, 300, low, high, 0.04, 1.0, {})
    found = Contrast(difference, (0, 1, 2), SeedSpread(middle, *trainings, 0.03))
    assert (found.sign, found.doubt) == (sign, doubt)
    assert found.bounds == (min(low, trainings[0]), max(high, trainings[1]))
    assert found.p_value == 0.04


def test_what_one_seed_can_show_is_what_its_images_can() -> None:
    records = scattered("cookie", 0, 0.7, 1), scattered("unshared", 0, 0.4, 2)
    found = contrast(view(*records), "cookie", "unshared")
    assert found is not None
    assert found.by_seed is None
    assert found.detectable == POWER * found.difference.standard_error


def test_a_change_is_the_later_gap_minus_the_earlier_over_images_and_seeds() -> None:
    """All recalls of an image agree here, so RSUM is 600 times a mean over images."""
    names, rates = ("a", "b", "c", "d"), (0.9, 0.5, 0.6, 0.5)
    records = {
        (name, seed): scattered(name, seed, rate, 100 * seed + place)
        for place, (name, rate) in enumerate(zip(names, rates, strict=True))
        for seed in (0, 1, 2)
    }
    found = change(view(*records.values()), ("a", "b"), ("c", "d"))
    assert found is not None
    hits = {key: np.array(made.samples["i2t"]["rank"]) == 0 for key, made in records.items()}
    signs = (1, -1, -1, 1)
    per_image = 600 * np.array(
        [sum(s * hits[n, seed] for s, n in zip(signs, names, strict=True)) for seed in (0, 1, 2)]
    )
    assert found.seeds == (0, 1, 2)
    assert found.difference.value == pytest.approx(per_image.mean())
    assert found.difference.first - found.difference.second == pytest.approx(per_image.mean())
    by_image = per_image.mean(axis=0)
    expected = by_image.std(ddof=0) / IMAGES**0.5
    assert found.difference.standard_error == pytest.approx(expected, rel=0.05)
    by_seed = per_image.mean(axis=1)
    assert found.by_seed is not None
    oracle = stats.t.interval(0.95, 2, by_seed.mean(), stats.sem(by_seed))
    assert (found.by_seed.low, found.by_seed.high) == pytest.approx(oracle)


def test_a_change_takes_a_seed_of_all_four() -> None:
    names = ("a", "b", "c", "d")
    records = [uniform(name, 9, seed=seed) for name in names[:3] for seed in (0, 1)]
    assert change(view(*records, uniform("d", 3, seed=5)), ("a", "b"), ("c", "d")) is None
    found = change(view(*records, uniform("d", 3, seed=1)), ("a", "b"), ("c", "d"))
    assert found is not None
    assert found.seeds == (1,)
    assert found.by_seed is None


def test_power_is_the_two_quantiles() -> None:
    assert pytest.approx(stats.norm.ppf(0.975) + stats.norm.ppf(0.8), abs=0.005) == POWER


def test_the_standard_error_is_that_of_a_mean_of_paired_differences() -> None:
    """All recalls of an image agree here, so RSUM is 600 times a mean over images."""
    records = scattered("cookie", 0, 0.7, 1), scattered("unshared", 0, 0.4, 2)
    found = contrast(view(*records), "cookie", "unshared")
    assert found is not None
    ranks = [np.array(record.samples["i2t"]["rank"]) for record in records]
    gain = (ranks[0] == 0).astype(float) - (ranks[1] == 0)
    expected = 600 * gain.std(ddof=0) / IMAGES**0.5
    assert found.difference.standard_error == pytest.approx(expected, rel=0.05)


def test_what_is_detectable_is_found_four_times_in_five() -> None:
    """Simulated: a true difference of that size is significant in about 80 % of data sets."""
    hits, runs = 0, 60
    size = 0.0
    for draw in range(runs):
        records = scattered("cookie", 0, 0.65, 1000 + draw), scattered("unshared", 0, 0.35, draw)
        found = contrast(view(*records), "cookie", "unshared")
        assert found is not None
        size += found.detectable / runs
        hits += found.difference.low > 0
    true = 600 * 0.3
    assert size == pytest.approx(true, rel=0.1)  # 0.3 is just what 40 images can show
    assert 0.65 < hits / runs < 0.93
