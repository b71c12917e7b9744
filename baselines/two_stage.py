"""Two stages: a dual encoder makes a shortlist, a pair scorer puts it in order.

The pair scorer then costs as much per query as the shortlist is long, whatever the gallery's size.
Ranking is by the pair scorer's score alone (as ALBEF does; LAVIS adds the dual encoder's).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from baselines.pair_scoring import Direction, score_list
from baselines.score_shards import ScoreShards
from cookie.interfaces import (
    DualEncoder,
    ImageBatch,
    ImageState,
    PairScorer,
    TextBatch,
    TextState,
    TopK,
)
from cookie.retrieval.topk import topk
from cookie.training.precision import Precision, autocast


class TwoStage:
    """A ``Searcher`` over images (queries are captions) or over captions (queries are images).

    Args:
        dual: makes the shortlist.
        scorer: orders it.
        shortlist: gallery rows a query that the scorer sees.
        precision: of all forward passes; the shortlist's inner products are float32.
    """

    def __init__(
        self,
        dual: DualEncoder,
        scorer: PairScorer,
        shortlist: int = 32,
        precision: Precision = "auto",
    ) -> None:
        if shortlist < 1:
            raise ValueError(f"a shortlist holds at least 1 row, not {shortlist}")
        self.dual, self.scorer = dual, scorer
        self.shortlist, self.precision = shortlist, precision
        self._embeddings: Tensor | None = None
        self._states: ImageState | TextState | None = None

    @torch.inference_mode()
    def index(self, gallery: ImageBatch | TextBatch) -> None:
        """Take in the gallery: embeddings for the first stage, states for the second."""
        self._embeddings, self._states = self._read(gallery)

    @torch.inference_mode()
    def search(self, queries: ImageBatch | TextBatch, k: int) -> TopK:
        """Return the ``k`` best gallery rows of each query, at most ``shortlist`` of them."""
        if self._embeddings is None:
            raise ValueError("call index() before search()")
        embeddings, states = self._read(queries)
        first = topk(embeddings, self._embeddings, self.shortlist)
        found = self._order(states, first)
        return TopK(found.scores[:, :k], found.indices[:, :k])

    def _read(self, batch: ImageBatch | TextBatch) -> tuple[Tensor, ImageState | TextState]:
        with autocast(_device(batch), self.precision):
            if isinstance(batch, TextBatch):
                return self.dual.encode_texts(batch), self.scorer.prepare_texts(batch)
            return self.dual.encode_images(batch), self.scorer.prepare_images(batch)

    def _order(self, queries: ImageState | TextState, first: TopK) -> TopK:
        gallery, scorer, precision = self._states, self.scorer, self.precision
        if isinstance(queries, TextState) and isinstance(gallery, ImageState):
            return rerank(scorer, gallery, queries, first, "t2i", precision=precision)
        if isinstance(queries, ImageState) and isinstance(gallery, TextState):
            return rerank(scorer, queries, gallery, first, "i2t", precision=precision)
        raise ValueError("queries and gallery must be of different modalities")


def rerank(
    scorer: PairScorer,
    images: ImageState,
    texts: TextState,
    shortlist: TopK,
    direction: Direction,
    *,
    token_budget: int | None = None,
    precision: Precision = "auto",
    progress: bool = False,
    shards: ScoreShards | None = None,
) -> TopK:
    """Return each query's shortlist in the order of the pair scorer, best first.

    Among equal scores the order of the shortlist stays.

    Args:
        scorer: its ``prepare_*`` made the states.
        images: queries for ``i2t``, the gallery for ``t2i``.
        texts: queries for ``t2i``, the gallery for ``i2t``.
        shortlist: (Q, k) gallery rows of each query.
        direction: ``t2i`` or ``i2t``.
        token_budget: see :func:`baselines.pair_scoring.score_matrix`.
        precision: of the joint layers.
        progress: show the rate and the time left.
        shards: see :func:`baselines.pair_scoring.score_list`.
    """
    rows = shortlist.indices.cpu().numpy()
    queries = np.repeat(np.arange(len(rows)), rows.shape[1])
    gallery = rows.reshape(-1)
    image_rows, caption_rows = (gallery, queries) if direction == "t2i" else (queries, gallery)
    scores = score_list(
        scorer,
        images,
        texts,
        image_rows,
        caption_rows,
        token_budget=token_budget,
        precision=precision,
        progress=progress,
        shards=shards,
    ).view(rows.shape)
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    return TopK(scores, shortlist.indices.to(order.device).gather(1, order))


def scatter_scores(found: TopK, gallery: int) -> Tensor:
    """Return (Q, G) float32 scores with minus infinity for rows outside the shortlist."""
    scores = found.scores.new_full((len(found.scores), gallery), -math.inf)
    return scores.scatter(1, found.indices, found.scores)


def _device(batch: ImageBatch | TextBatch) -> torch.device:
    return batch.ids.device if isinstance(batch, TextBatch) else batch.data.device
