"""Ways to compute Recall@K of pairs: this suite's, other people's and the obvious ones.

Every way must give the same recall. Libraries use as many threads as torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cookie.interfaces import IndexArray
from cookie.retrieval import evaluate, topk
from cookie.retrieval.products import inner_products
from cookie.retrieval.sweep import CPU_TILE, GPU_TILE

KS = (1, 5, 10)
WIDTH = 512
NOISE = 6.0  # against an image embedding of length 1: about half of the queries succeed

Recalls: TypeAlias = list[float]
Evaluator: TypeAlias = Callable[[], Recalls]


class Pairs:
    """Unit embeddings of images and their captions, with a signal."""

    def __init__(self, images: int, share: int, device: str) -> None:
        generator = torch.Generator().manual_seed(0)
        self.caption_image: IndexArray = np.repeat(np.arange(images), share)
        rows = F.normalize(torch.randn(images, WIDTH, generator=generator), dim=1)
        noise = torch.randn(images * share, WIDTH, generator=generator)
        texts = F.normalize(rows[self.caption_image] + NOISE * F.normalize(noise, dim=1), dim=1)
        self.images, self.captions = rows.to(device), texts.to(device)
        self.owner = torch.from_numpy(self.caption_image).to(device)

    @property
    def flops(self) -> float:
        """Of all scores, once."""
        return 2.0 * len(self.images) * len(self.captions) * WIDTH

    def recalls(self, captions: Tensor, images: Tensor) -> Recalls:
        """Return R@K of i2t and t2i from the ten best captions and the ten best images."""
        own = self.owner[captions] == torch.arange(len(captions), device=captions.device)[:, None]
        hits = (own, images == self.owner[:, None])
        return [100.0 * float(hit[:, :k].any(1).float().mean()) for hit in hits for k in KS]


def ours(pairs: Pairs) -> Evaluator:
    """Every figure of both directions, from one pass."""

    def run() -> Recalls:
        found = evaluate(pairs.images, pairs.captions, pairs.caption_image, KS)
        return [*found.i2t.recall.values(), *found.t2i.recall.values()]

    return run


def ours_topk(pairs: Pairs) -> Evaluator:
    """Two searches with this package's own topk."""

    def run() -> Recalls:
        captions = topk(pairs.images, pairs.captions, 10).indices
        return pairs.recalls(captions, topk(pairs.captions, pairs.images, 10).indices)

    return run


def torch_naive(pairs: Pairs) -> Evaluator:
    """The whole score matrix and two selections."""

    def run() -> Recalls:
        scores = pairs.images @ pairs.captions.T
        return pairs.recalls(scores.topk(10, dim=1).indices, scores.T.topk(10, dim=1).indices)

    return run


def numpy_naive(pairs: Pairs) -> Evaluator:
    """The whole score matrix and two partitions."""
    images, captions = pairs.images.cpu().numpy(), pairs.captions.cpu().numpy()

    def best(scores: NDArray[np.float32]) -> Tensor:
        chosen = np.argpartition(scores, -10, axis=1)[:, -10:]
        order = np.argsort(-np.take_along_axis(scores, chosen, axis=1), axis=1)
        return torch.from_numpy(np.take_along_axis(chosen, order, axis=1))

    def run() -> Recalls:
        scores = images @ captions.T
        return pairs.recalls(best(scores), best(np.ascontiguousarray(scores.T)))

    return run


def faiss_knn(pairs: Pairs) -> Evaluator:
    """``faiss.knn`` for each direction."""
    faiss = pytest.importorskip("faiss")
    images, captions = pairs.images.cpu().numpy(), pairs.captions.cpu().numpy()

    def knn(queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Tensor:
        found = faiss.knn(queries, gallery, 10, metric=faiss.METRIC_INNER_PRODUCT)
        return torch.from_numpy(found[1])

    def run() -> Recalls:
        faiss.omp_set_num_threads(torch.get_num_threads())
        return pairs.recalls(knn(images, captions), knn(captions, images))

    return run


def usearch_exact(pairs: Pairs) -> Evaluator:
    """Usearch's exhaustive search for each direction."""
    usearch = pytest.importorskip("usearch.index")
    images, captions = pairs.images.cpu().numpy(), pairs.captions.cpu().numpy()
    settings = {"metric": usearch.MetricKind.IP, "exact": True}

    def search(queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Tensor:
        threads = torch.get_num_threads()
        found = usearch.search(gallery, queries, 10, threads=threads, **settings)
        return torch.from_numpy(found.keys.astype(np.int64))

    def run() -> Recalls:
        return pairs.recalls(search(images, captions), search(captions, images))

    return run


def clip_benchmark(pairs: Pairs) -> Evaluator:
    """clip-benchmark's evaluator on the whole score matrix."""
    module = pytest.importorskip("clip_benchmark.metrics.zeroshot_retrieval")
    truth = torch.zeros(len(pairs.captions), len(pairs.images), dtype=torch.bool)
    truth[torch.arange(len(truth)), pairs.owner.cpu()] = True

    def run() -> Recalls:
        scores = pairs.captions @ pairs.images.T
        return [
            100.0 * float((module.batchify(*call, 64, "cpu", k=k) > 0).float().mean())
            for call in (
                (module.recall_at_k, scores.T, truth.T),
                (module.recall_at_k, scores, truth),
            )
            for k in KS
        ]

    return run


WAYS: Mapping[str, Callable[[Pairs], Evaluator]] = {
    "ours": ours,
    "ours topk": ours_topk,
    "faiss": faiss_knn,
    "torch": torch_naive,
    "numpy": numpy_naive,
    "usearch": usearch_exact,
    "clip-benchmark": clip_benchmark,
}
SLOW = ("usearch", "clip-benchmark")
ANYWHERE = ("ours", "ours topk", "torch")


def products_alone(pairs: Pairs) -> Callable[[], None]:
    """All scores, tile by tile, and nothing done with them."""
    tile = GPU_TILE if pairs.images.is_cuda else CPU_TILE
    starts = (
        range(0, len(pairs.images), tile.images),
        range(0, len(pairs.captions), tile.captions),
    )

    def run() -> None:
        for image, caption in itertools.product(*starts):
            inner_products(
                pairs.images[image : image + tile.images],
                pairs.captions[caption : caption + tile.captions],
            )

    return run
