"""How fast a pair scorer is, found out in the time there is for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from baselines.pair_states import prepare_corpus
from bench.cells import rates
from bench.cells.rates import PROBE_PAIRS, first_rate, rate_within
from bench.measure.timer import Timer
from tests.bench.cells.test_full_evaluation import CORPUS, ToyScorer


class Paced:
    """A scorer, and a timer by which a pair takes a fixed time."""

    def __init__(self, pairs_per_second: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scorer = ToyScorer()
        self.states = prepare_corpus(self.scorer, CORPUS, progress=False)
        self.rate, self.scored, self.spent = pairs_per_second, 0, 0.0
        score_pairs = self.scorer.score_pairs

        def counted(*parts: object) -> object:
            found = score_pairs(*parts)  # type: ignore[arg-type]
            self.scored += len(found)
            return found

        monkeypatch.setattr(self.scorer, "score_pairs", counted)

    def seconds(self, run: Callable[[], object]) -> float:
        """Return the time that ``run`` takes at the pace."""
        before = self.scored
        run()
        took = (self.scored - before) / self.rate
        self.spent += took
        return took

    def found(self, how: Callable[..., float], seconds: float) -> float:
        """Return what ``how`` finds."""
        return how(
            self.scorer, self.states, cast(Timer, self), seconds=seconds, precision="float32"
        )


@pytest.mark.parametrize("pace", [2.0, 10.0, 100.0, 1000.0])
def test_a_slow_scorer_is_looked_at_for_a_short_time(
    pace: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced = Paced(pace, monkeypatch)
    assert paced.found(rate_within, 1.0) == pytest.approx(pace)
    assert paced.scored / pace < max(3.0, 33 / pace)  # twice the 16 pairs that are the fewest


def test_a_fast_scorer_is_timed_in_three_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    paced = Paced(1e6, monkeypatch)
    asked: list[int] = []

    def three(*_: object, parts: int, **__: object) -> list[float]:
        asked.append(parts)
        return [1.0, 5.0, 3.0]

    monkeypatch.setattr(rates, "pair_rates", three)
    assert paced.found(rate_within, 1.0) == 3.0
    assert asked == [3]


def test_ever_more_pairs_are_scored_while_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    paced = Paced(100.0, monkeypatch)
    assert paced.found(first_rate, 1.0) == 100.0
    assert paced.scored == 16 + 16 + 64
    fast = Paced(1e9, monkeypatch)
    assert fast.found(first_rate, 1.0) == pytest.approx(1e9)
    assert fast.scored == 16 + 16 + 64 + 256 + PROBE_PAIRS
