"""A trained pair scorer and the test split as it reads it: how fast it is, how it re-ranks."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from baselines.pair_scoring import Direction
from baselines.pair_states import Prepared, prepare_corpus
from baselines.score_shards import ScoreShards, digest
from baselines.two_stage import rerank, scatter_scores
from bench.cells.rates import pair_rates
from bench.material.workshop import Workshop
from bench.measure.timer import timer_for
from cookie.encoding import Embeddings
from cookie.interfaces import Corpus, ImageState, IndexArray, PairScorer, TextState
from cookie.retrieval import topk
from cookie.training.precision import Precision


def prepared(workshop: Workshop, part: str, seed: int) -> tuple[PairScorer, Corpus, Prepared]:
    """Return a trained pair scorer, the test split as it reads it, and its prepared states."""
    module = workshop.trained(part, seed)
    corpus = workshop.corpora_of(part, module)["test"]
    scorer = cast(PairScorer, module)
    return scorer, corpus, prepare_corpus(scorer, corpus, precision=workshop.precision)


def pair_rate(workshop: Workshop, scorer: PairScorer, states: Prepared) -> float:
    """Return pairs a second, to judge how many queries fit into the time."""
    return float(
        np.median(
            pair_rates(
                scorer,
                states,
                timer_for(workshop.device),
                seconds=min(1.0, workshop.effort.part),
                parts=3,
                precision=workshop.precision,
            )
        )
    )


def reranked(
    scorer: PairScorer,
    states: Prepared,
    embeddings: Embeddings,
    asked: IndexArray,
    size: int,
    direction: Direction,
    precision: Precision,
    shards: ScoreShards | None = None,
) -> Tensor:
    """Return (Q, G) scores of the shortlisted pairs of the queries ``asked``, -inf elsewhere."""
    if shards is not None:
        shards = shards.about(direction=direction, queries=digest(asked))
    images, texts = states
    rows = torch.from_numpy(asked).to(images.tokens.device)
    if direction == "i2t":
        first = topk(embeddings.images[asked], embeddings.captions, size)
        images = ImageState(images.tokens[rows])
        gallery = len(embeddings.captions)
    else:
        first = topk(embeddings.captions[asked], embeddings.images, size)
        texts = TextState(texts.tokens[rows], texts.mask[rows])
        gallery = len(embeddings.images)
    found = rerank(
        scorer, images, texts, first, direction, precision=precision, progress=True, shards=shards
    )
    return scatter_scores(found, gallery)
