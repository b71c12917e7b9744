"""The evaluators that are timed beside each other answer the same question."""

from __future__ import annotations

import pytest

from bench.rivals.evaluators import ANYWHERE, KS, SLOW, WAYS, Pairs, ours, products_alone


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return Pairs(400, 5, "cpu")


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_recall(pairs: Pairs, way: str) -> None:
    found = WAYS[way](pairs)()
    assert len(found) == 2 * len(KS)
    assert found == pytest.approx(ours(pairs)(), abs=1e-4)


def test_pairs_are_neither_hopeless_nor_trivial(pairs: Pairs) -> None:
    assert 20 < ours(pairs)()[len(KS)] < 90  # R@1 of the captions
    assert pairs.flops == 2 * 400 * 2000 * 512


def test_the_floor_gives_nothing_back_and_names_are_of_ways(pairs: Pairs) -> None:
    assert products_alone(pairs)() is None  # type: ignore[func-returns-value]
    assert {*SLOW, *ANYWHERE} < set(WAYS)
