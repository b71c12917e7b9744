"""How many pairs a second a pair scorer manages, found out in a given time."""

from __future__ import annotations

from functools import partial

import numpy as np

from baselines.pair_scoring import score_list, score_rows
from baselines.pair_states import Prepared
from bench.measure.timer import Timer
from cookie.interfaces import IndexArray, PairScorer
from cookie.training.precision import Precision

PROBE_PAIRS = 1024
"""Pairs of the first look, which decides how many fill the time."""
FIRST_PAIRS, GROWTH = 16, 4
"""Pairs of the first look at a scorer that may be slow, and how many times more the next takes."""


def pair_rates(
    scorer: PairScorer,
    states: Prepared,
    timer: Timer,
    *,
    seconds: float,
    parts: int,
    precision: Precision,
) -> list[float]:
    """Return pairs a second on random captions with all images, one rate a part.

    Args:
        scorer: its ``prepare_*`` made the states.
        states: of all images and captions.
        timer: waits for the device.
        seconds: length that a part is to have, as far as the captions last.
        parts: how many.
        precision: of the joint layers.
    """
    asked = captions_in(scorer, states, timer, seconds=seconds, precision=precision)
    rate = partial(part_rate, scorer, states, timer, asked=asked, precision=precision)
    return [rate(part) for part in range(parts)]


def rate_within(
    scorer: PairScorer, states: Prepared, timer: Timer, *, seconds: float, precision: Precision
) -> float:
    """Return pairs a second, found out in a few times ``seconds``, however slow the scorer is.

    They are the median of three of :func:`pair_rates` where its first look, and a caption with
    all images, fit into that time; else those of as many random pairs as do, of 16 at least.
    """
    rate = first_rate(scorer, states, timer, seconds=seconds, precision=precision)
    if rate * seconds < max(PROBE_PAIRS, len(states.images.tokens)):
        return rate
    rates = pair_rates(scorer, states, timer, seconds=seconds, parts=3, precision=precision)
    return float(np.median(rates))


def first_rate(
    scorer: PairScorer, states: Prepared, timer: Timer, *, seconds: float, precision: Precision
) -> float:
    """Return pairs a second on random pairs, each time more, as long as the next fit the time."""
    generator, pairs = np.random.default_rng(0), FIRST_PAIRS
    many = [generator.integers(len(part.tokens), size=PROBE_PAIRS) for part in states]
    score = partial(score_list, scorer, *states, precision=precision)
    score(*(rows[:pairs] for rows in many))  # set-up
    while True:
        once = timer.seconds(partial(score, *(rows[:pairs] for rows in many)))
        if pairs >= PROBE_PAIRS or GROWTH * once > seconds:
            return pairs / once
        pairs *= GROWTH


def captions_in(
    scorer: PairScorer,
    states: Prepared,
    timer: Timer,
    *,
    seconds: float,
    precision: Precision,
) -> int:
    """Return how many captions, each with all images, are scored in about ``seconds``."""
    images, captions = len(states.images.tokens), len(states.texts.tokens)
    score = partial(score_rows, scorer, *states, direction="t2i", precision=precision)
    probe = _order(captions)[: max(1, PROBE_PAIRS // images)]
    score(probe[:1])  # set-up
    once = timer.seconds(partial(score, probe))
    return int(np.clip(seconds / once * len(probe), 1, captions))


def part_rate(
    scorer: PairScorer,
    states: Prepared,
    timer: Timer,
    part: int,
    *,
    asked: int,
    precision: Precision,
) -> float:
    """Return pairs a second on the ``part``-th ``asked`` random captions with all images."""
    images, rows = len(states.images.tokens), chosen(len(states.texts.tokens), asked, part)
    score = partial(score_rows, scorer, *states, rows, "t2i", precision=precision)
    return images * asked / timer.seconds(score)


def chosen(captions: int, asked: int, part: int) -> IndexArray:
    """Return the rows of the ``part``-th ``asked`` of so many captions, ascending."""
    return np.sort(np.roll(_order(captions), -part * asked)[:asked])


def _order(captions: int) -> IndexArray:
    """Return the random order in which captions are taken, always the same."""
    return np.random.default_rng(0).permutation(captions)
