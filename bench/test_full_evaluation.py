"""A full evaluation: from pixels and token ids to Recall@K in both directions, in each family."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch

from baselines.pair_scoring import score_matrix
from baselines.pair_states import prepare_corpus
from bench.material.first_images import FirstImages
from bench.material.workshop import encoded
from bench.timed import PRECISIONS, PROFILE, Timed
from bench.trial import Trial
from cookie.interfaces import Corpus, DualEncoder, PairScorer
from cookie.retrieval import RetrievalMetrics, evaluate, evaluate_scores
from cookie.training.precision import Precision

IMAGES = (32, 64) if PROFILE.full else (32,)
"""A pair scorer's time grows with the square of it."""
Evaluation = Callable[[], RetrievalMetrics]


@pytest.mark.parametrize("images", IMAGES)
@pytest.mark.parametrize("precision", PRECISIONS if PROFILE.full else ("auto",))
@pytest.mark.parametrize("system", ["dual_stream", "cookie", "single_stream"])
def test_full_evaluation(
    timed: Timed, trial: Trial, device: str, system: str, precision: Precision, images: int
) -> None:
    """Also in turns with COOKIE's, so that the ratio of claim C3 stands there in small."""
    corpus = FirstImages(trial.corpus("tiny", device), images)
    ways = {name: evaluation(trial, name, corpus, device, precision) for name in (system, "cookie")}
    run = ways.pop(system)
    notes = timed(run, device=device, items=images * len(corpus.captions), rivals=ways)
    notes |= {"images": images, "captions": len(corpus.captions)}
    found = cast(RetrievalMetrics, timed.result)
    assert len(found.i2t.ranks) == images
    assert len(found.t2i.ranks) == len(corpus.captions)


def evaluation(
    trial: Trial, system: str, corpus: Corpus, device: str, precision: Precision
) -> Evaluation:
    """Return a call that evaluates ``system`` on all images and captions of ``corpus``."""
    model = trial.model(system, "tiny", device)
    if system == "single_stream":
        return lambda: _pairs(cast(PairScorer, model), corpus, precision)
    return lambda: _embeddings(cast(DualEncoder, model), corpus, device, precision)


def _embeddings(
    encoder: DualEncoder, corpus: Corpus, device: str, precision: Precision
) -> RetrievalMetrics:
    found = encoded(encoder, corpus, torch.device(device), precision)
    return evaluate(found.images, found.captions, corpus.caption_image)


def _pairs(scorer: PairScorer, corpus: Corpus, precision: Precision) -> RetrievalMetrics:
    states = prepare_corpus(scorer, corpus, precision=precision)
    scores = score_matrix(scorer, *states, precision=precision)
    return evaluate_scores(scores, corpus.caption_image)
