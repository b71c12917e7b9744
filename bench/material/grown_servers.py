"""Servers over a gallery larger than the test split: random embeddings, repeated image states.

The embeddings of a dual encoder are replaced by random ones. A pair scorer's gallery repeats the
prepared test images, since a million states of a hundred tokens would fill any memory and the
time of a pair does not depend on which image it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from baselines.pair_scoring import score_matrix
from baselines.two_stage import rerank
from bench.material.servers import DualServer, PairServer, TwoStageServer
from cookie.interfaces import IndexArray, Searcher, TextBatch, TopK
from cookie.retrieval.search import FlatIndex
from cookie.training.precision import autocast


@dataclass(frozen=True, slots=True)
class GrownDual:
    """The encoder of a dual server in front of a gallery of any size.

    Attributes:
        server: its encoder reads the queries. index: holds the gallery.
    """

    server: DualServer
    index: FlatIndex

    @torch.inference_mode()
    def search(self, queries: TextBatch, k: int) -> TopK:
        """Return the ``k`` best gallery rows of each caption."""
        return self.index.search(self.server.encode(queries), k)


class GrownPair:
    """A pair scorer over ``size`` images: those of its server, again and again."""

    def __init__(self, server: PairServer, size: int) -> None:
        self.server = server
        self.rows: IndexArray = np.arange(size) % len(server.images.tokens)

    @torch.inference_mode()
    def search(self, queries: TextBatch, k: int) -> TopK:
        """Return the ``k`` best gallery rows of each caption."""
        server = self.server
        with autocast(queries.ids.device, server.precision):
            texts = server.scorer.prepare_texts(queries)
        scores = score_matrix(
            server.scorer,
            server.images,
            texts,
            image_indices=self.rows,
            precision=server.precision,
        ).T
        return TopK(*scores.topk(min(k, scores.shape[1]), dim=1))


class GrownTwoStage:
    """A shortlist out of a gallery of any size, put in order by a pair scorer."""

    def __init__(self, first: GrownDual, pair: PairServer, shortlist: int) -> None:
        self.first, self.pair, self.shortlist = first, pair, shortlist

    @torch.inference_mode()
    def search(self, queries: TextBatch, k: int) -> TopK:
        """Return the ``k`` best of each caption's shortlist, as rows of the repeated images."""
        first, pair = self.first.search(queries, self.shortlist), self.pair
        with autocast(queries.ids.device, pair.precision):
            texts = pair.scorer.prepare_texts(queries)
        rows = TopK(first.scores, first.indices % len(pair.images.tokens))
        found = rerank(pair.scorer, pair.images, texts, rows, "t2i", precision=pair.precision)
        return TopK(found.scores[:, :k], found.indices[:, :k])


Grown = GrownDual | GrownPair | GrownTwoStage


def grow(server: Searcher, index: FlatIndex, size: int) -> Grown:
    """Return an indexed server with a gallery of ``size`` in place of its own."""
    if isinstance(server, DualServer):
        return GrownDual(server, index)
    if isinstance(server, PairServer):
        return GrownPair(server, size)
    if isinstance(server, TwoStageServer):
        return GrownTwoStage(GrownDual(server.dual, index), server.pair, server.shortlist)
    raise TypeError(f"{type(server).__name__} is no server of the suite")


def bytes_per_image(server: Searcher, embedding_bytes: int) -> int:
    """Return what one image takes in a server's gallery.

    Args:
        server: indexed, so that its states have a size.
        embedding_bytes: of one row of the random gallery.
    """
    if isinstance(server, PairServer):
        state = server.images.tokens[0]
        return state.numel() * state.element_size()
    if isinstance(server, TwoStageServer):
        return embedding_bytes + bytes_per_image(server.pair, embedding_bytes)
    return embedding_bytes
