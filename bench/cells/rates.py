"""How many pairs a second a pair scorer manages, found out in a given time."""

from __future__ import annotations

from functools import partial

import numpy as np

from baselines.pair_scoring import score_rows
from baselines.pair_states import Prepared
from bench.measure.timer import Timer
from cookie.interfaces import PairScorer
from cookie.training.precision import Precision

PROBE_PAIRS = 1024
"""Pairs of the first look, which decides how many fill the time."""


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
    images, captions = len(states.images.tokens), len(states.texts.tokens)
    order = np.random.default_rng(0).permutation(captions)
    score = partial(score_rows, scorer, *states, direction="t2i", precision=precision)
    probe = order[: max(1, PROBE_PAIRS // images)]
    score(probe[:1])  # set-up
    once = timer.seconds(partial(score, probe))
    asked = int(np.clip(seconds / once * len(probe), 1, captions))
    chosen = [np.sort(np.roll(order, -part * asked)[:asked]) for part in range(parts)]
    return [images * asked / timer.seconds(partial(score, part)) for part in chosen]
