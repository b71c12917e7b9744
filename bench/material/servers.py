"""What the harness times: a prepared image gallery that answers caption queries.

One class a family, all with the gallery prepared once from pixels and queries as token ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from baselines.pair_scoring import score_matrix
from baselines.two_stage import rerank
from bench.material.workshop import Workshop
from bench.systems import systems
from cookie.batches import in_parts
from cookie.compiling import CompiledEncoder, CompiledScorer
from cookie.interfaces import (
    Corpus,
    DualEncoder,
    ImageBatch,
    ImageState,
    PairScorer,
    Searcher,
    TextBatch,
    TopK,
)
from cookie.retrieval.search import FlatIndex
from cookie.serving import served
from cookie.training.precision import Precision, autocast, computing_dtype

BATCH = 64
"""Images that are read at a time."""


class DualServer:
    """A dual encoder: one matrix product a query. A ``Searcher`` over a corpus's images.

    Attributes:
        encoder: encodes the images. reader: the same encoder, made ready for single queries.
        precision: that both compute in.

    Args:
        encoder: any.
        precision: to compute in.
        compiled: whether both are compiled.
    """

    def __init__(
        self, encoder: DualEncoder, precision: Precision, *, compiled: bool = False
    ) -> None:
        reader = _reader(encoder, precision)
        self.encoder = CompiledEncoder(encoder) if compiled else encoder
        self.reader = CompiledEncoder(reader) if compiled else reader
        self.precision = precision

    @torch.inference_mode()
    def index(self, gallery: Corpus) -> None:
        """Encode all images."""
        parts = []
        for batch in image_batches(gallery):
            with autocast(batch.data.device, self.precision):
                parts.append(self.encoder.encode_images(batch))
        self.embeddings = torch.cat(parts)
        self._gallery = FlatIndex()  # looks at every row once, where a search would each time
        self._gallery.index(self.embeddings)

    @torch.inference_mode()
    def search(self, queries: TextBatch, k: int) -> TopK:
        """Return the ``k`` best images of each caption."""
        return self._gallery.search(self.encode(queries), k)

    @torch.inference_mode()
    def encode(self, queries: TextBatch) -> Tensor:
        """Return (Q, D) embeddings of captions."""
        with autocast(queries.ids.device, self.precision):
            return self.reader.encode_texts(queries)


def _reader(encoder: DualEncoder, precision: Precision) -> DualEncoder:
    """Return ``encoder`` for reading queries, without what autocast would repeat for each."""
    module = cast(nn.Module, encoder)
    weight = next(module.parameters(), torch.empty(0))
    dtype = computing_dtype(weight.device, precision)
    return encoder if dtype == torch.float32 else cast(DualEncoder, served(module, dtype))


class PairServer:
    """A pair scorer: the joint layers run for every image of the gallery."""

    def __init__(self, scorer: PairScorer, precision: Precision) -> None:
        self.scorer, self.precision = scorer, precision

    @torch.inference_mode()
    def index(self, gallery: Corpus) -> None:
        """Prepare all images."""
        parts = []
        for batch in image_batches(gallery):
            with autocast(batch.data.device, self.precision):
                parts.append(self.scorer.prepare_images(batch).tokens)
        self.images = ImageState(torch.cat(parts))

    @torch.inference_mode()
    def search(self, queries: TextBatch, k: int) -> TopK:
        """Return the ``k`` best images of each caption."""
        with autocast(queries.ids.device, self.precision):
            texts = self.scorer.prepare_texts(queries)
        scores = score_matrix(self.scorer, self.images, texts, precision=self.precision).T
        return TopK(*scores.topk(min(k, scores.shape[1]), dim=1))


class TwoStageServer:
    """A dual encoder's shortlist in the order of a pair scorer."""

    def __init__(self, dual: DualServer, pair: PairServer, shortlist: int) -> None:
        self.dual, self.pair, self.shortlist = dual, pair, shortlist

    def index(self, gallery: Corpus) -> None:
        """Encode all images for the first stage, prepare them for the second."""
        self.dual.index(gallery)
        self.pair.index(gallery)

    @torch.inference_mode()
    def search(self, queries: TextBatch, k: int) -> TopK:
        """Return the ``k`` best images of each caption, out of its shortlist."""
        first = self.dual.search(queries, self.shortlist)
        scorer, precision = self.pair.scorer, self.pair.precision
        with autocast(queries.ids.device, precision):
            texts = scorer.prepare_texts(queries)
        found = rerank(scorer, self.pair.images, texts, first, "t2i", precision=precision)
        return TopK(found.scores[:, :k], found.indices[:, :k])


def image_batches(corpus: Corpus) -> Iterator[ImageBatch]:
    """Yield all images in batches."""
    for start in range(0, corpus.image_count, BATCH):
        rows = np.arange(start, min(start + BATCH, corpus.image_count))
        yield from in_parts(corpus.images(rows))


def make_server(workshop: Workshop, system: str, seed: int, shortlist: int) -> Searcher:
    """Return the trained system as a server whose gallery is still to be prepared."""
    spec, precision = systems[system], workshop.precision
    modules = [workshop.trained(part, seed) for part in spec.parts]
    if spec.family == "dual":
        return DualServer(_dual(modules[0]), precision, compiled=spec.compiled)
    if spec.family == "pair":
        scorer = _pair(modules[0])
        return PairServer(CompiledScorer(scorer) if spec.compiled else scorer, precision)
    dual, pair = DualServer(_dual(modules[0]), precision), PairServer(_pair(modules[1]), precision)
    return TwoStageServer(dual, pair, shortlist)


def warm_up(server: Searcher, queries: Queries, neighbors: int) -> None:
    """Ask every query once where each new length costs something: it is compiled or recorded."""
    if isinstance(server, DualServer) and isinstance(server.reader, CompiledEncoder):
        for turn in range(len(queries)):
            server.search(queries.one(turn), neighbors)


def _dual(module: nn.Module) -> DualEncoder:
    return cast(DualEncoder, module)


def _pair(module: nn.Module) -> PairScorer:
    return cast(PairScorer, module)


def modules_of(server: Searcher) -> nn.ModuleList:
    """Return the server's models, for counting parameters; shared ones would count once."""
    if isinstance(server, TwoStageServer):
        return nn.ModuleList([*modules_of(server.dual), *modules_of(server.pair)])
    if isinstance(server, DualServer):
        return nn.ModuleList([cast(nn.Module, server.encoder)])
    if isinstance(server, PairServer):
        return nn.ModuleList([cast(nn.Module, server.scorer)])
    raise TypeError(f"{type(server).__name__} is no server of this module")


class Queries:
    """Captions as token ids on the device, taken in turn, so that systems meet the same ones.

    Args:
        corpus: where the captions are.
        count: how many different ones; fewer where the corpus has fewer.
    """

    def __init__(self, corpus: Corpus, count: int = 64) -> None:
        captions = len(corpus.captions)
        self._corpus = corpus
        self._rows = np.random.default_rng(0).permutation(captions)[:count]
        self._single = [corpus.texts(self._rows[i : i + 1]) for i in range(len(self._rows))]

    def __len__(self) -> int:
        return len(self._single)

    def one(self, turn: int) -> TextBatch:
        """Return the query of a turn, a batch of one."""
        return self._single[turn % len(self._single)]

    def next(self, turn: int, size: int) -> TextBatch:
        """Return the queries of ``size`` turns from ``turn`` on."""
        if size == 1:
            return self.one(turn)
        return self._corpus.texts(self._rows.take(range(turn, turn + size), mode="wrap"))

    def batch(self, size: int) -> TextBatch:
        """Return ``size`` queries at once."""
        return self._corpus.texts(np.resize(self._rows, size))
