"""The evaluations cell: full evaluations of several systems in turns, in one process.

A machine drifts by more from one cell to the next than what the cells differ by. Within a round it
is the same for all, so that the ratio of a round is the systems' own.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import torch
from torch import nn

from bench.cells.full_evaluation import (
    Bench,
    FullEvaluation,
    all_ranked,
    compiled,
    dual_once,
    first_run,
    prepared,
)
from bench.cells.rates import captions_in, part_rate
from bench.effort import TurnsEffort, turns_effort_of
from bench.failures import reason_of
from bench.material.workshop import Workshop
from bench.measure.timer import timer_for
from bench.systems import Family, systems
from cookie.errors import UserError
from cookie.interfaces import Corpus, DualEncoder, PairScorer


class Turn(NamedTuple):
    """One full evaluation of one system.

    Attributes:
        encoding: seconds. ranking: seconds, of all pairs.
        pairs_per_second: of a pair scorer. extrapolated: whether a part of the pairs was scored.
    """

    encoding: float
    ranking: float
    pairs_per_second: float | None = None
    extrapolated: bool = False


Entrant: TypeAlias = Callable[[int], Turn]
"""Takes its turn in the round of that number."""


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Measure every system's full evaluation once a round; one that cannot be is left out."""
    timer, effort = timer_for(workshop.device), turns_effort_of(workshop.setup.preset)
    bench = Bench(workshop.test_pixels, timer, workshop.effort, workshop.precision)
    entrants, left_out = dict[str, Entrant](), dict[str, str]()
    compiling = dict[str, dict[str, float]]()
    for name in protocol["systems"]:
        module = workshop.trained(systems[name].parts[0], seed)
        with _or_left_out(name, left_out):
            module, compiling[name] = ready(module, name, bench, workshop.device)
            family = systems[name].family
            entrants[name] = entrant(module, family, bench, workshop.device, effort.part)
    turns = take_turns(entrants, effort, left_out)
    if not turns:
        raise UserError(" ".join(left_out.values()) or "No system is timed in turns.")
    values = {
        "rounds": min(len(taken) for taken in turns.values()),
        "systems": {n: _values(taken, bench.corpus) | compiling[n] for n, taken in turns.items()},
        "left_out": left_out,
    }
    return values, {name: _raw(taken) for name, taken in turns.items()}


def ready(
    module: nn.Module, name: str, bench: Bench, device: torch.device
) -> tuple[nn.Module, dict[str, float]]:
    """Return a system's model after a run on a few images; and, compiled, what that run took."""
    row = systems[name]
    module = compiled(module, row.family) if row.compiled else module
    seconds = first_run(module, row.family, bench, device)
    return module, {"compile_seconds": seconds} if row.compiled else {}


@contextmanager
def _or_left_out(name: str, left_out: dict[str, str]) -> Iterator[None]:
    """Note why a system cannot be measured: the others' times are wanted all the same."""
    try:
        yield
    except (UserError, MemoryError, RuntimeError) as error:
        reason = reason_of(error)
        if reason is None:
            raise
        left_out[name] = reason


def entrant(
    module: nn.Module, family: Family, bench: Bench, device: torch.device, part: float
) -> Entrant:
    """Return what takes a system's turns, once it has met the whole corpus.

    ``part`` is the seconds of a pair scorer's pairs in a round.
    """
    if family == "dual":
        encoder = cast(DualEncoder, module)
        dual_once(encoder, bench, device)
        return lambda _: Turn(*dual_once(encoder, bench, device))
    scorer = cast(PairScorer, module)
    _, states = prepared(scorer, bench, progress=False)
    precision = bench.precision
    asked = captions_in(scorer, states, bench.timer, seconds=part, precision=precision)
    return partial(_pair_turn, scorer, bench, asked)


def _pair_turn(scorer: PairScorer, bench: Bench, asked: int, number: int) -> Turn:
    """Prepare all, and score ``asked`` captions with all images; others in every round."""
    encoding, states = prepared(scorer, bench, progress=False)
    pairs = bench.corpus.image_count * len(bench.corpus.captions)
    if asked == len(bench.corpus.captions):
        scoring, ranking = all_ranked(scorer, states, bench)
        return Turn(encoding, scoring + ranking, pairs / scoring)
    rate = part_rate(scorer, states, bench.timer, number, asked=asked, precision=bench.precision)
    return Turn(encoding, pairs / rate, rate, extrapolated=True)


def take_turns(
    entrants: Mapping[str, Entrant], effort: TurnsEffort, left_out: dict[str, str]
) -> dict[str, list[Turn]]:
    """Return every system's turns, one a round; who fails in a round is left out of all.

    Args:
        entrants: name -> what takes its turn.
        effort: how many rounds, or how long.
        left_out: is given the reason of every failure.
    """
    gc.collect()
    turns: dict[str, list[Turn]] = {name: [] for name in entrants}
    number, started = 0, time.perf_counter()
    while turns and _more(number, time.perf_counter() - started, effort):
        for name in in_order(turns, number):
            with _or_left_out(name, left_out):
                turns[name].append(entrants[name](number))
        turns = {name: taken for name, taken in turns.items() if name not in left_out}
        number += 1
    return turns


def _more(done: int, seconds: float, effort: TurnsEffort) -> bool:
    return done < effort.least or (done < effort.most and seconds < effort.seconds)


def in_order(names: Iterable[str], number: int) -> list[str]:
    """Return who comes when in a round: every other one goes backwards.

    A machine that grows slower throughout a round is hard on the last; so it is on each in turn.
    """
    forwards = list(names)
    return forwards[::-1] if number % 2 else forwards


def _rates(taken: Sequence[Turn]) -> list[float]:
    return [turn.pairs_per_second for turn in taken if turn.pairs_per_second is not None]


def _values(taken: Sequence[Turn], corpus: Corpus) -> dict[str, Any]:
    rates = _rates(taken)
    return FullEvaluation(
        [turn.encoding for turn in taken],
        [turn.ranking for turn in taken],
        float(np.median(rates)) if rates else None,
        taken[0].extrapolated,
    ).to_dict(corpus)


def _raw(taken: Sequence[Turn]) -> dict[str, list[float]]:
    """Return the seconds of each round in order, and a pair scorer's pairs a second."""
    raw = {
        "encoding": [turn.encoding for turn in taken],
        "ranking": [turn.ranking for turn in taken],
    }
    return raw | ({"pairs_per_second": rates} if (rates := _rates(taken)) else {})
