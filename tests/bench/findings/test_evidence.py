"""RSUM, its interval and paired differences against slow loops and known worlds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.findings.differences import compare, compare_recalls
from bench.findings.evidence import DIRECTIONS, KS, gather, recall_curve
from bench.measure.statistics import paired_bootstrap
from bench.records import Record
from tests.bench.hand_made import CAPTIONS, IMAGES, accuracy, answers, record, uniform


def random_ranks(seed: int, count: int) -> list[int]:
    return np.random.default_rng(seed).integers(0, 20, count).tolist()


def random_accuracy(draw: int, **options: int) -> Record:
    return accuracy(
        "cookie", random_ranks(draw, IMAGES), random_ranks(draw + 1, CAPTIONS), **options
    )


def slow_rsum(made: Record) -> float:
    total = 0.0
    for direction in DIRECTIONS:
        ranks = made.samples[direction]["rank"]
        for k in KS:
            total += 100 * sum(rank < k for rank in ranks) / len(ranks)
    return total


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_rsum_is_what_a_loop_says(seed: int) -> None:
    made = random_accuracy(seed)
    assert gather([made]).rsum == pytest.approx(slow_rsum(made))


def test_recall_by_hand() -> None:
    evidence = gather([accuracy("cookie", [0, 1, 4, 5, 9, 10], [0, 0, 9, 99])])
    assert [evidence.recall("i2t", k) for k in KS] == pytest.approx([100 / 6, 300 / 6, 500 / 6])
    assert [evidence.recall("t2i", k) for k in KS] == pytest.approx([50, 50, 75])


def test_the_order_of_queries_does_not_matter() -> None:
    made = random_accuracy(3)
    shuffled = {}
    for direction, table in made.samples.items():
        order = np.random.default_rng(0).permutation(len(table["query"]))
        shuffled[direction] = {key: [row[i] for i in order] for key, row in table.items()}
    other = record("accuracy", "cookie", made.values, samples=shuffled)
    first, second = gather([made]), gather([other])
    assert first.rsum == second.rsum
    assert first.rsum_interval == second.rsum_interval


def test_seeds_are_averaged_query_by_query() -> None:
    evidence = gather([uniform("cookie", 10, seed=0), uniform("cookie", 20, seed=1)])
    assert evidence.seeds == (0, 1)
    assert evidence.recall("i2t", 1) == pytest.approx(100 * 15 / 40)


def test_interval_holds_the_estimate_and_narrows_with_more_images() -> None:
    few = gather([accuracy("cookie", random_ranks(0, 20), random_ranks(1, 40))])
    many = gather([accuracy("cookie", random_ranks(0, 2000), random_ranks(1, 4000))])
    for evidence in (few, many):
        low, high = evidence.rsum_interval
        assert low <= evidence.rsum <= high
    widths = [high - low for low, high in (few.rsum_interval, many.rsum_interval)]
    assert widths[1] < 0.3 * widths[0]


def test_interval_agrees_with_a_slow_bootstrap() -> None:
    made = random_accuracy(5)
    ranks = {name: np.array(made.samples[name]["rank"]) for name in DIRECTIONS}
    draws = np.random.default_rng(1)
    rsums = []
    for _ in range(2000):
        images = draws.integers(0, IMAGES, IMAGES)
        captions = np.concatenate([[2 * i, 2 * i + 1] for i in images])
        picked = (ranks["i2t"][images], ranks["t2i"][captions])
        rsums.append(sum(100 * (part < k).mean() for part in picked for k in KS))
    expected = np.percentile(rsums, [2.5, 97.5])
    assert gather([made]).rsum_interval == pytest.approx(expected, abs=6)


def test_clustering_by_image_widens_the_interval() -> None:
    """Five captions that stand and fall together say no more than one."""
    together = [0 if (c // 5) % 2 else 99 for c in range(500)]
    image_ranks = [0] * 100
    samples = {
        "i2t": answers(image_ranks, range(100), range(100)),
        "t2i": answers(together, range(500), [c // 5 for c in range(500)]),
    }
    apart = samples | {"t2i": answers(together, range(500), range(500))}
    wide, narrow = (
        gather([record("accuracy", "cookie", {}, samples=part)]).rsum_interval
        for part in (samples, apart)
    )
    assert wide[1] - wide[0] > 1.7 * (narrow[1] - narrow[0])


def test_a_system_does_not_differ_from_itself() -> None:
    evidence = gather([random_accuracy(1)])
    found = compare(evidence, evidence)
    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert not found.significant


def test_pairing_finds_a_small_difference_that_intervals_hide() -> None:
    better, worse = gather([uniform("cookie", 20)]), gather([uniform("dual_stream", 14)])
    assert better.rsum_interval[0] < worse.rsum_interval[1]
    found = compare(better, worse)
    assert found.significant
    assert found.value == pytest.approx(90)
    assert found.p_value < 0.05
    other_way = compare(worse, better)
    assert (other_way.low, other_way.high) == pytest.approx((-found.high, -found.low))


def test_a_sample_is_compared_on_the_queries_it_has() -> None:
    whole = uniform("cookie", 20)
    kept = {"i2t": [1, 30, 25], "t2i": [0, 2, 79, 41]}
    samples = {
        direction: answers(
            [0] * len(rows), rows, rows if direction == "i2t" else [r // 2 for r in rows]
        )
        for direction, rows in kept.items()
    }
    sampled = record("accuracy", "single_stream", {}, samples=samples)
    found = compare(gather([whole]), gather([sampled]))
    assert dict(found.queries) == {"i2t": 3, "t2i": 4}
    assert found.second == 600
    assert found.first == pytest.approx(3 * 100 / 3 + 3 * 100 / 2)


def test_differences_in_recall_are_those_of_the_paired_bootstrap() -> None:
    """With one seed a query's hit is 0 or 1, which the other implementation reads from ranks."""
    first, second = random_accuracy(1), random_accuracy(7)
    for found in compare_recalls(gather([first]), gather([second])):
        tables = [made.samples[found.direction] for made in (first, second)]
        ranks = [table["rank"] for table in tables]
        expected = paired_bootstrap(*ranks, tables[0]["image"], found.k)
        assert found.value == pytest.approx(expected.difference.estimate)
        assert found.low == pytest.approx(expected.difference.low)
        assert found.high == pytest.approx(expected.difference.high)
        assert found.p_value == pytest.approx(expected.p_value)
        assert found.queries == expected.queries


def test_differences_in_recall_use_the_common_queries() -> None:
    first, second = uniform("cookie", 20), accuracy("dual_stream", [0] * 10, [0] * 6)
    found = {(d.direction, d.k): d for d in compare_recalls(gather([first]), gather([second]))}
    assert found["i2t", 1].queries == 10
    assert found["t2i", 1].queries == 6
    assert found["i2t", 1].value == 0.0


def test_a_curve_goes_through_the_recalls_of_the_table() -> None:
    records = [random_accuracy(1), random_accuracy(5, seed=1)]
    for direction in DIRECTIONS:
        curve = recall_curve(records, direction, range(1, 21))
        assert [curve[k - 1] for k in KS] == pytest.approx(
            [gather(records).recall(direction, k) for k in KS]
        )
        assert (np.diff(curve) >= 0).all()
        assert curve[-1] == 100.0
