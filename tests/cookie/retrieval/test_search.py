"""Indexes behind one interface: the exact one is exact, the approximate ones nearly so."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from cookie.errors import UserError
from cookie.interfaces import TopK
from cookie.retrieval import EmbeddingError, topk
from cookie.retrieval.search import FlatIndex, build_index, indexes, overlap

GENERATOR = np.random.default_rng(0)
CENTERS = GENERATOR.standard_normal((20, 16), dtype=np.float32)
GALLERY = np.repeat(CENTERS, 50, axis=0) + GENERATOR.standard_normal((1000, 16), dtype=np.float32)
QUERIES = GALLERY[::25] + 0.1 * GENERATOR.standard_normal((40, 16), dtype=np.float32)


@pytest.mark.parametrize("name", list(indexes))
def test_every_index_finds_nearly_all_neighbors(name: str) -> None:
    if name != "flat":
        pytest.importorskip("faiss")
    found = build_index(name, GALLERY).search(QUERIES, 5)
    exact = topk(QUERIES, GALLERY, 5)
    assert found.scores.shape == found.indices.shape == (40, 5)
    assert overlap(found, exact) >= 95.0
    same = found.indices == exact.indices
    torch.testing.assert_close(found.scores[same], exact.scores[same])


def test_the_flat_index_is_exact_search() -> None:
    found, exact = build_index("flat", GALLERY).search(QUERIES, 7), topk(QUERIES, GALLERY, 7)
    assert torch.equal(found.indices, exact.indices)
    assert overlap(found, exact) == 100.0


def test_more_effort_finds_more() -> None:
    pytest.importorskip("faiss")
    from cookie.retrieval.search import ivf

    rng = np.random.default_rng(1)
    gallery, queries = rng.standard_normal((4000, 24)), rng.standard_normal((50, 24))
    exact, recalls = topk(queries, gallery, 10), []
    for probes in (1, 4, 1000):
        index = ivf(probes)
        index.index(gallery)
        recalls.append(overlap(index.search(queries, 10), exact))
    assert recalls == sorted(recalls)
    assert recalls[0] < 70.0
    assert recalls[-1] == 100.0


def test_overlap_counts_by_score_so_that_ties_do_not_matter() -> None:
    exact = TopK(torch.tensor([[3.0, 2.0]]), torch.tensor([[0, 1]]))
    assert overlap(TopK(torch.tensor([[3.0, 2.0]]), torch.tensor([[0, 9]])), exact) == 100.0
    assert overlap(TopK(torch.tensor([[3.0, 1.0]]), torch.tensor([[0, 9]])), exact) == 50.0
    missing = TopK(torch.tensor([[3.0, -torch.inf]]), torch.tensor([[0, -1]]))
    assert overlap(missing, exact) == 50.0


def test_a_gallery_smaller_than_k() -> None:
    pytest.importorskip("faiss")
    for name in indexes:
        assert build_index(name, GALLERY[:3]).search(QUERIES, 9).indices.shape == (40, 3)


def test_wrong_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="did you mean 'hnsw'"):
        build_index("hnws", GALLERY)
    with pytest.raises(RuntimeError, match="before searching"):
        FlatIndex().search(QUERIES, 1)
    broken = GALLERY.copy()
    broken[3, 0] = np.nan
    for name in indexes:
        with pytest.raises(EmbeddingError, match="Gallery embedding 3"):
            build_index(name, broken)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match=r"cookie-retrieval\[ann\]"):
        build_index("ivf", GALLERY)


def test_an_empty_gallery() -> None:
    assert build_index("flat", GALLERY[:0]).search(QUERIES, 3).indices.shape == (40, 0)
    with pytest.raises(EmbeddingError, match="at least one"):
        build_index("hnsw", GALLERY[:0])
