"""The stream of draws, against Philox4x64-10 written out in Python integers."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie.data.draws import Draws

WORD = 2**64
words = st.integers(0, WORD - 1)


def philox(key: tuple[int, int], counter: list[int]) -> list[int]:
    """One block of the generator as its inventors describe it (Salmon et al., SC 2011)."""
    first, second = key
    a, b, c, d = counter
    for _round in range(10):
        high_a, low_a = divmod(0xD2E7470EE14C6C93 * a, WORD)
        high_c, low_c = divmod(0xCA5A826395121157 * c, WORD)
        a, b, c, d = high_c ^ b ^ first, low_c, high_a ^ d ^ second, low_a
        first = (first + 0x9E3779B97F4A7C15) % WORD
        second = (second + 0xBB67AE8584CAA73B) % WORD
    return [a, b, c, d]


@given(seed=words, stream=words, limit=st.integers(1, 2**32))
def test_draws_are_philox_words_scaled_down(seed: int, stream: int, limit: int) -> None:
    expected = [
        (word >> 32) * limit // 2**32
        for block in range(1, 20)
        for word in philox((seed, stream), [block, 0, 0, 0])
    ]
    draws = Draws(seed, stream)
    assert [draws.below(limit) for _ in expected] == expected


def test_every_value_is_about_equally_likely() -> None:
    draws = Draws(1, 2)
    counts = Counter(draws.below(5) for _ in range(5000))
    assert set(counts) == set(range(5))
    assert max(abs(count - 1000) for count in counts.values()) < 120  # 4 standard deviations


def test_chance_is_the_stated_share() -> None:
    draws = Draws(3, 4)
    assert 1150 < sum(draws.chance(1, 4) for _ in range(5000)) < 1350
    assert not any(draws.chance(0, 4) for _ in range(100))
    assert all(draws.chance(4, 4) for _ in range(100))


def test_sample_is_without_repetition_and_in_every_order() -> None:
    draws = Draws(5, 6)
    samples = Counter(tuple(draws.sample("abc", 2)) for _ in range(600))
    assert set(samples) == {("a", "b"), ("a", "c"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b")}
    assert sorted(draws.sample(range(9), 9)) == list(range(9))


@pytest.mark.parametrize("other", [(0, 1), (1, 0)])
def test_other_seeds_and_streams_are_other_draws(other: tuple[int, int]) -> None:
    first, second = Draws(0, 0), Draws(*other)
    assert [first.below(100) for _ in range(20)] != [second.below(100) for _ in range(20)]
