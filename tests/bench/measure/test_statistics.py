"""Uncertainty: against closed forms, scipy, and resampling written out as a loop."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.measure.statistics import (
    bootstrap_means,
    bootstrap_recall,
    cluster_sums,
    mcnemar,
    paired_bootstrap,
    seed_spread,
    wilson,
)


def test_bootstrap_equals_resampling_images_in_a_loop() -> None:
    """The loop redraws the same images: exactly the same samples must come out."""
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(30), rng.integers(1, 6, 30))
    values = rng.random((len(clusters), 2))
    sums, counts = cluster_sums(values, clusters)
    fast = bootstrap_means(sums, counts, resamples=50, seed=7)
    draws = np.random.default_rng(7).integers(0, 30, (50, 30), dtype=np.int32)
    for sample, images in zip(fast, draws, strict=True):
        queries = np.concatenate([np.flatnonzero(clusters == image) for image in images])
        np.testing.assert_allclose(sample, values[queries].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("order", [1, -1])
def test_every_order_of_addition_gives_the_same_bytes(order: int) -> None:
    """Threads and vector widths change the order; a report has to come out the same."""
    sums = np.random.default_rng(0).integers(0, 500, (400, 2)) / 3  # means over three seeds
    counts = np.full(400, 5.0)
    fast = bootstrap_means(sums, counts, resamples=40, seed=7)
    draws = np.random.default_rng(7).integers(0, 400, (40, 400), dtype=np.int32)
    for sample, images in zip(fast, draws, strict=True):
        total = sum(np.round(sums[image] * 2**24) / 2**24 for image in images[::order])
        assert (sample == total / counts[images].sum()).all()


def test_what_is_equal_stays_equal_in_every_resample() -> None:
    """Two systems' hits, averaged over other seeds, that come to the same."""
    one = np.tile([[1 / 3], [2 / 3]], (200, 1))
    two = 1 - one[::-1]
    means = bootstrap_means(np.concatenate([one, two], axis=1), np.ones(400), resamples=300)
    assert (means[:, 0] == means[:, 1]).all()


def test_bootstrap_interval_of_independent_queries_is_the_binomial_one() -> None:
    ranks = np.where(np.random.default_rng(1).random(2000) < 0.3, 0, 99)
    found = bootstrap_recall(ranks, np.arange(2000), (1,))[1]
    rate = (ranks == 0).mean()
    half = 1.96 * 100 * np.sqrt(rate * (1 - rate) / 2000)
    assert found.estimate == pytest.approx(100 * rate)
    assert found.low == pytest.approx(100 * rate - half, abs=0.15)
    assert found.high == pytest.approx(100 * rate + half, abs=0.15)


def test_captions_of_an_image_do_not_count_as_independent() -> None:
    ranks = np.repeat(np.where(np.random.default_rng(2).random(400) < 0.5, 0, 99), 5)
    by_image = bootstrap_recall(ranks, np.repeat(np.arange(400), 5), (1,))[1]
    by_caption = bootstrap_recall(ranks, np.arange(2000), (1,))[1]
    ratio = (by_image.high - by_image.low) / (by_caption.high - by_caption.low)
    assert ratio == pytest.approx(np.sqrt(5), rel=0.08)


def test_bootstrap_is_reproducible_and_seeded() -> None:
    ranks, clusters = np.arange(200) % 13, np.arange(200) // 5
    first = bootstrap_recall(ranks, clusters, resamples=500)
    assert first == bootstrap_recall(ranks, clusters, resamples=500)
    assert first != bootstrap_recall(ranks, clusters, resamples=500, seed=1)
    assert list(first) == [1, 5, 10]


def test_block_of_draws_is_split_without_loss() -> None:
    """More draws than fit at once: every resample is there, with every draw counted."""
    sums, counts = np.ones((3000, 1)), np.ones(3000)
    means = bootstrap_means(sums, counts, resamples=3001)
    assert means.shape == (3001, 1)
    np.testing.assert_array_equal(means, 1.0)


def test_a_resample_without_any_query_repeats_the_mean() -> None:
    sums, counts = np.array([[3.0], [0.0], [0.0]]), np.array([6.0, 0.0, 0.0])
    means = bootstrap_means(sums, counts, resamples=200)
    np.testing.assert_array_equal(means, 0.5)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    covered = [
        not bootstrap_recall(
            np.where(rng.random(300) < 0.4, 0, 9), np.arange(300), (1,), resamples=400, seed=trial
        )[1].excludes(40.0)
        for trial in range(200)
    ]
    assert 0.89 <= np.mean(covered) <= 0.99


def test_paired_bootstrap_of_a_system_with_itself_finds_nothing() -> None:
    ranks = np.arange(100) % 4
    found = paired_bootstrap(ranks, ranks, np.arange(100) // 5)
    assert (found.difference.estimate, found.difference.low, found.difference.high) == (0, 0, 0)
    assert found.p_value == 1.0
    assert (found.queries, found.clusters) == (100, 20)


def test_paired_bootstrap_finds_a_steady_gain_that_unpaired_intervals_hide() -> None:
    rng = np.random.default_rng(4)
    worse = np.where(rng.random(1000) < 0.5, 0, 9)
    better = np.where((worse > 0) & (rng.random(1000) < 0.06), 0, worse)
    clusters = np.arange(1000)
    found = paired_bootstrap(better, worse, clusters, resamples=2000)
    assert found.difference.low > 0
    assert found.p_value < 0.01
    apart = [bootstrap_recall(ranks, clusters, (1,), resamples=500)[1] for ranks in (better, worse)]
    assert apart[0].low < apart[1].high
    mirrored = paired_bootstrap(worse, better, clusters, resamples=2000)
    assert mirrored.difference.estimate == -found.difference.estimate
    assert mirrored.p_value == found.p_value


def test_p_value_is_never_zero_and_agrees_with_the_normal_one() -> None:
    rng = np.random.default_rng(5)
    first, second = (np.where(rng.random(2000) < rate, 0, 9) for rate in (0.53, 0.50))
    gain = (first == 0).astype(float) - (second == 0)
    z = gain.mean() / (gain.std() / np.sqrt(2000))
    expected = 2 * stats.norm.sf(abs(z))
    assert paired_bootstrap(first, second, np.arange(2000)).p_value == pytest.approx(
        expected, abs=0.02
    )
    certain = paired_bootstrap(np.zeros(50), np.full(50, 9), np.arange(50), resamples=999)
    assert certain.p_value == pytest.approx(2 / 1000)


@pytest.mark.parametrize(("first", "second"), [(9, 3), (0, 6), (5, 5), (1, 0), (0, 0), (40, 70)])
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    both_right = 20
    a = np.r_[np.zeros(first), np.full(second, 5), np.zeros(both_right)]
    b = np.r_[np.full(first, 5), np.zeros(second), np.zeros(both_right)]
    found = mcnemar(a, b, k=5)
    assert (found.only_first, found.only_second) == (first, second)
    total = first + second
    expected = stats.binomtest(first, total).pvalue if total else 1.0
    assert found.p_value == pytest.approx(expected)


@pytest.mark.parametrize(("hits", "queries"), [(0, 10), (10, 10), (3, 10), (154, 1000)])
def test_wilson_is_scipys(hits: int, queries: int) -> None:
    found = wilson(hits, queries)
    expected = stats.binomtest(hits, queries).proportion_ci(method="wilson")
    assert found.estimate == pytest.approx(100 * hits / queries)
    assert found.low == pytest.approx(100 * expected.low, abs=1e-9)
    assert found.high == pytest.approx(100 * expected.high, abs=1e-9)


@pytest.mark.parametrize(("hits", "queries"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_rate(hits: int, queries: int) -> None:
    with pytest.raises(ValueError, match="no rate"):
        wilson(hits, queries)


def test_seed_spread_is_students_interval() -> None:
    values = [50.0, 52.0, 51.0, 55.0]
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    found = seed_spread(values)
    assert (found.low, found.high) == pytest.approx(expected)
    assert np.isnan(seed_spread([3.0]).low)


@pytest.mark.parametrize("values", [[1.0, 2.0, 0.5], [-3.0, 4.0], [0.2, 0.21, 0.19, 0.2]])
def test_the_p_value_of_a_spread_is_students(values: list[float]) -> None:
    found = seed_spread(values)
    assert found.p_value == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)
    assert (found.p_value < 0.05) == found.excludes(0.0)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 1.0), (2.0, 0.0)])
def test_seeds_that_agree_leave_no_doubt(value: float, expected: float) -> None:
    assert seed_spread([value, value]).p_value == expected


def test_cluster_labels_must_match() -> None:
    with pytest.raises(ValueError, match="cluster labels"):
        bootstrap_recall([0, 1, 2], [0, 1])
