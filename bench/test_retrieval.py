"""Exact search and evaluation beside other people's, in turns; ``COOKIE_BENCH=full`` for all sizes.

Every way must give the same recall. ``products alone`` is the floor: the matrix products that an
evaluation cannot do without. Libraries use as many threads as torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bench.measure.cost import share_of_peak
from bench.measure.peaks import measure_peaks
from bench.measure.statistics import bootstrap_recall
from bench.timed import PROFILE, Timed
from cookie.interfaces import IndexArray
from cookie.retrieval import evaluate, topk
from cookie.retrieval.products import inner_products
from cookie.retrieval.search import build_index, indexes, overlap
from cookie.retrieval.sweep import CPU_TILE, GPU_TILE

KS = (1, 5, 10)
WIDTH = 512
NOISE = 6.0  # against an image embedding of length 1: about half of the queries succeed
EVALUATIONS = ((1000, 5), (5000, 5)) if PROFILE.full else ((1000, 5),)
GALLERIES = (10_000, 100_000, 1_000_000) if PROFILE.full else (50_000,)
SLOW_SCORES = 10**7  # rivals that would take minutes are left out above this many

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


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("images", "share"), EVALUATIONS)
def test_evaluate(timed: Timed, device: str, images: int, share: int, way: str) -> None:
    """R@1/5/10 of both directions; ours also in turns with faiss and with the products alone."""
    pairs = Pairs(images, share, device)
    if device != "cpu" and way not in ANYWHERE:
        pytest.skip(f"{way} runs on the CPU alone")
    if images * images * share > SLOW_SCORES and way in SLOW:
        pytest.skip(f"{way} takes minutes here")
    run = WAYS[way](pairs)
    rivals: dict[str, Callable[[], object]] = {}
    if way == "ours":
        rivals["products alone"] = products_alone(pairs)
        rivals["torch"] = torch_naive(pairs)
        if device == "cpu":
            rivals["faiss"] = faiss_knn(pairs)
    notes = timed(run, device=device, items=images * (share + 1), rivals=rivals)
    note_share_of_peak(notes, pairs.flops, device)
    assert run() == pytest.approx(ours(pairs)(), abs=1e-4)


def note_share_of_peak(notes: dict[str, object], flops: float, device: str) -> None:
    """Note the useful FLOPs (every score once) as a share of the machine's matrix peak."""
    rate = notes.get("items_per_second")
    if isinstance(rate, float) and isinstance(notes["items"], int):
        seconds = notes["items"] / rate
        peak = measure_peaks(device).matmul_flops["float32"]
        notes["share_of_matmul_peak"] = share_of_peak(flops, seconds, peak)


@pytest.fixture(scope="module")
def half_gallery(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], NDArray[np.float16]]:
    """Return memory-mapped float16 galleries of unit rows by size."""
    folder = tmp_path_factory.mktemp("gallery")

    def make(size: int) -> NDArray[np.float16]:
        path = folder / f"{size}.npy"
        if not path.exists():
            generator = torch.Generator().manual_seed(1)
            rows = np.lib.format.open_memmap(path, "w+", np.float16, (size, WIDTH))
            for start in range(0, size, 50_000):
                part = torch.randn(min(50_000, size - start), WIDTH, generator=generator)
                rows[start : start + len(part)] = F.normalize(part, dim=1).half().numpy()
        return mapped(path)

    return make


def mapped(path: Path) -> NDArray[np.float16]:
    """Open a saved gallery without reading it."""
    rows: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return rows


@pytest.mark.parametrize("queries", [1, 1000])
@pytest.mark.parametrize("size", GALLERIES)
def test_topk_from_a_half_precision_file(
    timed: Timed, half_gallery: Callable[[int], NDArray[np.float16]], size: int, queries: int
) -> None:
    """In turns with ``faiss.knn`` on the same rows in float32, in memory."""
    faiss = pytest.importorskip("faiss")
    gallery = half_gallery(size)
    generator = torch.Generator().manual_seed(2)
    asked = F.normalize(torch.randn(queries, WIDTH, generator=generator), dim=1)
    rows = np.asarray(gallery, dtype=np.float32)

    def rival() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        faiss.omp_set_num_threads(torch.get_num_threads())
        scores, indices = faiss.knn(asked.numpy(), rows, 10, metric=faiss.METRIC_INNER_PRODUCT)
        return scores, indices

    notes = timed(lambda: topk(asked, gallery, 10), items=queries, rivals={"faiss": rival})
    note_share_of_peak(notes, 2.0 * queries * size * WIDTH, "cpu")
    np.testing.assert_allclose(topk(asked, gallery, 10).scores, rival()[0], atol=1e-5)


@pytest.mark.parametrize("name", list(indexes))
@pytest.mark.parametrize("size", GALLERIES[:2])
def test_index(
    timed: Timed, half_gallery: Callable[[int], NDArray[np.float16]], size: int, name: str
) -> None:
    """Time of a search and how many of the exact neighbors it finds, for each ``--index``."""
    pytest.importorskip("faiss")
    rows = torch.from_numpy(np.asarray(half_gallery(size), dtype=np.float32))
    queries = F.normalize(rows[:: size // 200] + 0.05 * torch.randn(WIDTH), dim=1)
    index, exact = build_index(name, rows), topk(queries, rows, 10)
    notes = timed(lambda: index.search(queries, 10), items=len(queries))
    notes["percent_of_exact_neighbors"] = overlap(index.search(queries, 10), exact)
    assert name != "flat" or notes["percent_of_exact_neighbors"] == 100.0


def test_bootstrap(timed: Timed) -> None:
    """10,000 resamples of 5,000 queries."""
    ranks = np.random.default_rng(0).integers(0, 20, 5000)
    found = bootstrap_recall(ranks, np.arange(5000))
    timed(lambda: bootstrap_recall(ranks, np.arange(5000)), items=10_000)
    assert found[1].low < found[1].estimate < found[1].high
