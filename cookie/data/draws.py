"""Random draws that are the same on every machine and with every version of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Draws:
    """A stream of integers from the counter-based generator Philox4x64.

    numpy promises the raw output of its bit generators for good, but not what ``Generator``
    makes of it; so the little that is needed is made here, in integers.

    Args:
        seed: of the whole family of streams, 0 <= seed < 2**64.
        stream: which of them, 0 <= stream < 2**64.
    """

    def __init__(self, seed: int, stream: int) -> None:
        self._source = np.random.Philox(key=np.array([seed, stream], dtype=np.uint64))
        self._raw: list[int] = []

    def below(self, limit: int) -> int:
        """Return an integer in [0, limit), limit <= 2**32; uneven by less than limit / 2**32."""
        if not self._raw:
            self._raw = self._source.random_raw(64).tolist()[::-1]
        return ((self._raw.pop() >> 32) * limit) >> 32

    def chance(self, numerator: int, denominator: int) -> bool:
        """Return True with probability ``numerator / denominator``."""
        return self.below(denominator) < numerator

    def choice(self, options: Sequence[T]) -> T:
        """Return one of ``options``, each equally likely."""
        return options[self.below(len(options))]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """Return ``count`` different ones of ``options``, in random order."""
        pool = list(options)
        return [pool.pop(self.below(len(pool))) for _ in range(count)]
