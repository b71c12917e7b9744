"""Exact search and evaluation beside other people's, in turns; ``COOKIE_BENCH=full`` for all sizes.

Every way must give the same recall. ``products alone`` is the floor: the matrix products that an
evaluation cannot do without. Libraries use as many threads as torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from bench.measure.cost import share_of_peak
from bench.measure.peaks import measure_peaks
from bench.measure.statistics import bootstrap_recall
from bench.rivals.evaluators import (
    ANYWHERE,
    SLOW,
    WAYS,
    WIDTH,
    Pairs,
    faiss_knn,
    ours,
    products_alone,
    torch_naive,
)
from bench.timed import PROFILE, Timed
from cookie.retrieval import topk
from cookie.retrieval.search import build_index, indexes, overlap

EVALUATIONS = ((1000, 5), (5000, 5)) if PROFILE.full else ((1000, 5),)
GALLERIES = (10_000, 100_000, 1_000_000) if PROFILE.full else (50_000,)
SLOW_SCORES = 10**7  # rivals that would take minutes are left out above this many


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
