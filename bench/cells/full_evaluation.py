"""The time of a full evaluation: all images x all captions, both directions.

From pixels and token ids with the weights loaded. Where scoring all pairs does not fit, a random
part of them is timed and the rest extrapolated, and marked so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from baselines.pair_scoring import score_list, score_matrix
from baselines.pair_states import Prepared, naive_scores, prepare_corpus
from bench.cells.rates import pair_rates
from bench.effort import Effort
from bench.material.first_images import FirstImages
from bench.material.workshop import Workshop, encoded
from bench.measure.timer import Timer, timer_for
from bench.systems import Family, systems
from cookie.compiling import CompiledEncoder, CompiledScorer
from cookie.encoding import Embeddings
from cookie.interfaces import Corpus, DualEncoder, PairScorer
from cookie.retrieval import evaluate, evaluate_scores, topk
from cookie.training.precision import Precision

FEW = 9
"""Images of the run that compiles; with their captions they meet every shape that differs."""


@dataclass(frozen=True, slots=True)
class FullEvaluation:
    """What a full evaluation takes.

    Attributes:
        encoding: seconds that grow with the number of items: encoders, preparation.
        ranking: seconds of each repeat that grow with the number of pairs.
        pairs_per_second: of a pair scorer; None for a dual encoder.
        extrapolated: whether ``ranking`` is extrapolated from a part of the pairs.
        encodings: seconds of each repeat, where encoding was repeated as well.
    """

    encodings: Sequence[float]
    rankings: Sequence[float]
    pairs_per_second: float | None = None
    extrapolated: bool = False

    def to_dict(self, corpus: Corpus) -> dict[str, Any]:
        """Return plain numbers; ``parts`` and ``seconds`` are medians over the repeats."""
        encoding, ranking = float(np.median(self.encodings)), float(np.median(self.rankings))
        count = max(len(self.encodings), len(self.rankings))
        repeats = np.resize(self.encodings, count) + np.resize(self.rankings, count)
        return {
            "seconds": encoding + ranking,
            "repeats": repeats.tolist(),
            "extrapolated": self.extrapolated,
            "images": corpus.image_count,
            "captions": len(corpus.captions),
            "parts": {"encoding": encoding, "ranking": ranking},
            "pairs_per_second": self.pairs_per_second,
        }


class Bench(NamedTuple):
    """What every measurement needs: the test split as pixels and ids, timer, budgets, format."""

    corpus: Corpus
    timer: Timer
    effort: Effort
    precision: Precision = "float32"


def full_evaluation(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> dict[str, Any]:
    """Measure a system's full evaluation of the test split."""
    spec = systems[system]
    modules = [workshop.trained(part, seed) for part in spec.parts]
    bench = Bench(
        workshop.test_pixels, timer_for(workshop.device), workshop.effort, workshop.precision
    )
    compiling = {}
    if spec.compiled:
        modules = [compiled(modules[0], spec.family)]
        compiling = {"compile_seconds": first_run(modules[0], spec.family, bench, workshop.device)}
    if not spec.cached:
        found = _naive(cast(PairScorer, modules[0]), bench)
    elif spec.family == "dual":
        found = _dual(cast(DualEncoder, modules[0]), bench, workshop.device)
    elif spec.family == "pair":
        found = _pair(cast(PairScorer, modules[0]), bench, workshop.device.type)
    else:
        dual, pair = cast(DualEncoder, modules[0]), cast(PairScorer, modules[1])
        found = _two_stage(dual, pair, bench, workshop.device, protocol["shortlist"])
    return found.to_dict(bench.corpus) | compiling


def compiled(module: nn.Module, family: Family) -> nn.Module:
    """Return a dual encoder or a pair scorer compiled; its first run compiles."""
    if family == "dual":
        return CompiledEncoder(cast(DualEncoder, module))
    return CompiledScorer(cast(PairScorer, module))


def first_run(module: nn.Module, family: Family, bench: Bench, device: torch.device) -> float:
    """Return the seconds of a run on a few images.

    All else that is measured comes after it, so that nothing of it is compiling.
    """
    few, precision = FirstImages(bench.corpus, FEW), bench.precision
    run: Callable[[], object] = partial(_all_pairs, cast(PairScorer, module), few, precision)
    if family == "dual":
        run = partial(encoded, cast(DualEncoder, module), few, device, precision)
    return bench.timer.seconds(run)


def _all_pairs(scorer: PairScorer, corpus: Corpus, precision: Precision) -> Tensor:
    states = prepare_corpus(scorer, corpus, precision=precision, progress=False)
    return score_matrix(scorer, *states, precision=precision)


def _dual(encoder: DualEncoder, bench: Bench, device: torch.device) -> FullEvaluation:
    encodings, rankings, started = list[float](), list[float](), time.perf_counter()
    while len(encodings) < 2 or _more(len(encodings), started, bench.effort):
        encoding, ranking = dual_once(encoder, bench, device)
        encodings.append(encoding)
        rankings.append(ranking)
    return FullEvaluation(encodings, rankings)


def dual_once(encoder: DualEncoder, bench: Bench, device: torch.device) -> tuple[float, float]:
    """Return the seconds of encoding all, and of ranking both directions."""
    corpus = bench.corpus
    encode = partial(encoded, encoder, corpus, device, bench.precision)
    seconds, found = timed(bench.timer, encode)
    rank = partial(evaluate, found.images, found.captions, corpus.caption_image)
    return seconds, bench.timer.seconds(rank)


def _more(done: int, started: float, effort: Effort) -> bool:
    return done < 5 and time.perf_counter() - started < effort.repeat


def timed(timer: Timer, run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of one call of ``run`` and what it returned."""
    kept: list[Any] = []
    return timer.seconds(lambda: kept.append(run())), kept[0]


def prepared(scorer: PairScorer, bench: Bench, *, progress: bool = True) -> tuple[float, Prepared]:
    """Return the seconds of preparing all images and captions, and what they became."""
    prepare = partial(prepare_corpus, scorer, bench.corpus, precision=bench.precision)
    return timed(bench.timer, partial(prepare, progress=progress))


def _pair(scorer: PairScorer, bench: Bench, device: str) -> FullEvaluation:
    corpus, timer = bench.corpus, bench.timer
    whole = bench.effort.whole_cuda if device == "cuda" else bench.effort.whole_cpu
    encoding, states = prepared(scorer, bench)
    pairs = corpus.image_count * len(corpus.captions)
    effort, precision = bench.effort, bench.precision
    rates = pair_rates(
        scorer, states, timer, seconds=effort.part, parts=effort.parts, precision=precision
    )
    rate = float(np.median(rates))
    if pairs / rate > whole:
        return FullEvaluation([encoding], [pairs / each for each in rates], rate, extrapolated=True)
    scoring, ranking = all_ranked(scorer, states, bench)
    return FullEvaluation([encoding], [scoring + ranking], pairs / scoring)


def all_ranked(scorer: PairScorer, states: Prepared, bench: Bench) -> tuple[float, float]:
    """Return the seconds of scoring all pairs, and of ranking both directions."""
    score = partial(score_matrix, scorer, *states, precision=bench.precision)
    scoring, scores = timed(bench.timer, score)
    rank = partial(evaluate_scores, scores, bench.corpus.caption_image)
    return scoring, bench.timer.seconds(rank)


def _two_stage(
    dual: DualEncoder, scorer: PairScorer, bench: Bench, device: torch.device, shortlist: int
) -> FullEvaluation:
    """Shortlists of both directions are made in full; re-ranking them is timed in part."""
    corpus, timer = bench.corpus, bench.timer
    encoding, found = timed(timer, partial(encoded, dual, corpus, device, bench.precision))
    preparing, states = prepared(scorer, bench)
    rankings, rate, whole = shortlist_rankings(found, states, scorer, bench, shortlist)
    return FullEvaluation([encoding + preparing], rankings, rate, extrapolated=not whole)


def shortlist_rankings(
    found: Embeddings, states: Prepared, scorer: PairScorer, bench: Bench, shortlist: int
) -> tuple[list[float], float, bool]:
    """Return what both directions' shortlists and their re-ranking take.

    Returns:
        Seconds of each repeat, pairs a second, and whether all pairs were scored.
    """
    first, i2t = timed(bench.timer, lambda: topk(found.images, found.captions, shortlist))
    second, t2i = timed(bench.timer, lambda: topk(found.captions, found.images, shortlist))
    images = np.repeat(np.arange(len(i2t.indices)), i2t.indices.shape[1])
    captions = np.repeat(np.arange(len(t2i.indices)), t2i.indices.shape[1])
    pairs = np.stack(
        [
            np.concatenate([images, t2i.indices.cpu().numpy().ravel()]),
            np.concatenate([i2t.indices.cpu().numpy().ravel(), captions]),
        ]
    )
    rates, whole = list_rates(scorer, states, pairs, bench)
    rankings = [first + second + pairs.shape[1] / rate for rate in rates]
    return rankings, float(np.median(rates)), whole


def list_rates(
    scorer: PairScorer, states: Prepared, pairs: np.ndarray[Any, Any], bench: Bench
) -> tuple[list[float], bool]:
    """Return pairs a second on random parts of ``pairs`` (2, P), and whether all were scored."""
    order = np.random.default_rng(0).permutation(pairs.shape[1])
    parts = bench.effort.parts

    def seconds(rows: np.ndarray[Any, Any]) -> float:
        return bench.timer.seconds(
            partial(score_list, scorer, *states, *pairs[:, rows], precision=bench.precision)
        )

    probe = order[:1024]
    seconds(probe[:64])  # set-up
    asked = int(np.clip(bench.effort.part / seconds(probe) * len(probe), 1, len(order)))
    if asked * parts >= len(order):
        return [len(order) / seconds(order)], True
    return [asked / seconds(np.roll(order, -part * asked)[:asked]) for part in range(parts)], False


def _naive(scorer: PairScorer, bench: Bench) -> FullEvaluation:
    """One random image with a few random captions at a time, until there is enough."""
    rates = naive_rates(scorer, bench)
    pairs = bench.corpus.image_count * len(bench.corpus.captions)
    return FullEvaluation(
        [0.0], [pairs / rate for rate in rates], float(np.median(rates)), extrapolated=True
    )


def naive_rates(scorer: PairScorer, bench: Bench, each: int = 16) -> list[float]:
    """Return pairs a second of the plain loop, one rate an image with ``each`` captions."""
    draws, corpus, effort = np.random.default_rng(0), bench.corpus, bench.effort
    rates, started = list[float](), time.perf_counter()
    while len(rates) <= effort.parts or time.perf_counter() - started < effort.part:
        image = corpus.images(draws.integers(corpus.image_count, size=1))
        texts = corpus.texts(draws.integers(len(corpus.captions), size=each))
        seconds = bench.timer.seconds(partial(naive_scores, scorer, image, texts))
        rates.append(each / seconds)
    return rates[1:]
