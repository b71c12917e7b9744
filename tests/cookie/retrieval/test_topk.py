"""Exact search: against a sort, with ties, any block size, any storage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cookie.retrieval import EmbeddingError, topk
from cookie.retrieval.products import rounding_slack
from tests.cookie.retrieval.oracle import ranking


def whole_numbers(rows: int, width: int, seed: int, spread: int = 2) -> torch.Tensor:
    """Small whole numbers: inner products are exact in float32, and many of them tie."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-spread, spread + 1, (rows, width), generator=generator).float()


@settings(deadline=None, max_examples=60)
@given(
    queries=st.integers(0, 9),
    gallery=st.integers(0, 40),
    k=st.integers(0, 50),
    query_block=st.integers(1, 10),
    gallery_block=st.integers(1, 45),
    seed=st.integers(0, 1000),
)
def test_equals_a_stable_sort_for_every_size_and_block(
    queries: int, gallery: int, k: int, query_block: int, gallery_block: int, seed: int
) -> None:
    left, right = whole_numbers(queries, 3, seed), whole_numbers(gallery, 3, seed + 1)
    found = topk(left, right, k, query_block=query_block, gallery_block=gallery_block)
    assert found.scores.shape == found.indices.shape == (queries, min(k, gallery))
    scores = (left @ right.T).numpy()
    for row, (values, indices) in enumerate(zip(found.scores, found.indices, strict=True)):
        expected = ranking(scores[row])[:k]
        assert indices.tolist() == expected.tolist()
        assert values.tolist() == scores[row][expected].tolist()


def test_constant_embeddings_come_in_gallery_order() -> None:
    found = topk(torch.ones(5, 8), torch.ones(300, 8), 7, gallery_block=64)
    assert found.indices.tolist() == [list(range(7))] * 5


@pytest.mark.parametrize("queries", [1, 3, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_large_galleries_do_not_depend_on_the_block(queries: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(queries)
    gallery = torch.randn(20_011, 4, generator=generator).to(dtype)
    gallery[15_000:] = gallery[:5_011]  # equals in another block
    asked = torch.randn(queries, 4, generator=generator)
    found, small = topk(asked, gallery, 9), topk(asked, gallery, 9, gallery_block=999)
    assert torch.equal(found.indices, small.indices)
    torch.testing.assert_close(found.scores, small.scores, atol=1e-6, rtol=0)


def test_duplicates_across_blocks_keep_the_lowest_index() -> None:
    generator = torch.Generator().manual_seed(0)
    distinct = torch.randn(50, 16, generator=generator)
    gallery = torch.cat([distinct, distinct, distinct])
    found = topk(distinct[:4], gallery, 3, gallery_block=50)
    assert found.indices.tolist() == [[row, row + 50, row + 100] for row in range(4)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_memory_mapped_galleries_of_any_precision(tmp_path: Path, dtype: type) -> None:
    values = np.random.default_rng(3).standard_normal((200, 12)).astype(dtype)
    np.save(tmp_path / "gallery.npy", values)
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    queries = np.random.default_rng(4).standard_normal((6, 12)).astype(np.float32)
    found = topk(queries, mapped, 9, gallery_block=77)
    scores = queries @ values.astype(np.float32).T
    assert found.scores.dtype == torch.float32
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(found.indices.numpy(), expected)
    np.testing.assert_allclose(
        found.scores.numpy(), np.take_along_axis(scores, expected, 1), atol=1e-5
    )


def test_half_precision_is_scored_in_float32() -> None:
    gallery = torch.tensor([[1.0, 2**-9], [1.0, 2**-8]], dtype=torch.bfloat16)
    found = topk(torch.ones(1, 2, dtype=torch.bfloat16), gallery, 2)
    assert found.indices.tolist() == [[1, 0]]  # a bfloat16 score would tie at 1.0
    assert found.scores.tolist() == [[1 + 2**-8, 1 + 2**-9]]


def test_agrees_with_faiss() -> None:
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((64, 32), dtype=np.float32)
    gallery = rng.standard_normal((3000, 32), dtype=np.float32)
    scores, indices = faiss.knn(queries, gallery, 10, metric=faiss.METRIC_INNER_PRODUCT)
    found = topk(queries, gallery, 10, query_block=30, gallery_block=999)
    np.testing.assert_allclose(found.scores.numpy(), scores, rtol=1e-5, atol=1e-5)
    assert (found.indices.numpy() == indices).mean() > 0.999


def test_agrees_with_usearch() -> None:
    index = pytest.importorskip("usearch.index")
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((20, 16), dtype=np.float32)
    gallery = rng.standard_normal((500, 16), dtype=np.float32)
    matches = index.search(gallery, queries, 5, index.MetricKind.IP, exact=True)
    found = topk(queries, gallery, 5)
    np.testing.assert_array_equal(found.indices.numpy(), matches.keys.astype(np.int64))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("side", ["queries", "gallery"])
def test_names_the_embedding_that_is_not_finite(bad: float, side: str) -> None:
    sides = {"queries": torch.ones(10, 4), "gallery": torch.ones(10, 4)}
    sides[side][7, 2] = bad
    with pytest.raises(EmbeddingError, match=r"(Query|Gallery) embedding 7 is not"):
        topk(sides["queries"], sides["gallery"], 3, query_block=4, gallery_block=4)


def test_huge_finite_values_are_accepted() -> None:
    found = topk(torch.ones(1, 2), torch.tensor([[3e38, 3e38], [1.0, 1.0]]) * 0.4, 1)
    assert found.indices.tolist() == [[0]]


@pytest.mark.parametrize("gallery", [torch.ones(3, 5), torch.ones(3), torch.ones(3, 4, 1)])
def test_widths_must_agree(gallery: torch.Tensor) -> None:
    with pytest.raises(EmbeddingError, match="same width"):
        topk(torch.ones(2, 4), gallery, 1)


@pytest.mark.parametrize(
    "wrong", [{"k": -1}, {"k": 1, "query_block": 0}, {"k": 1, "gallery_block": 0}]
)
def test_sizes_must_make_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        topk(torch.ones(2, 4), torch.ones(2, 4), **wrong)


@pytest.mark.parametrize("spread", [1, 40])
@pytest.mark.parametrize("block", [37, 400])
def test_neighbors_do_not_depend_on_how_products_are_rounded(
    spread: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Products as wrong as their slack allows: rows and order are those of exact scores."""
    queries, gallery = whole_numbers(20, 9, 0, spread), whole_numbers(400, 9, 1, spread)
    scores = (queries @ gallery.T).numpy()

    def noisy(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        slack = rounding_slack(left, gallery.norm(dim=1).amax())[:, None]
        return left @ right.T + 0.9 * slack * (2 * torch.rand(len(left), len(right)) - 1)

    monkeypatch.setattr("cookie.retrieval.gallery.inner_products", noisy)
    found = topk(queries, gallery, 12, gallery_block=block)
    for row in range(20):
        assert found.indices[row].tolist() == ranking(scores[row])[:12].tolist()


def test_a_known_longest_row_saves_a_look_at_the_gallery_and_changes_nothing() -> None:
    queries, gallery = whole_numbers(6, 9, 0), whole_numbers(50, 9, 1)
    found = topk(queries, gallery, 5, longest=float(gallery.norm(dim=1).amax()))
    assert torch.equal(found.indices, topk(queries, gallery, 5).indices)


@pytest.mark.parametrize("size", [1, 5, 300])
@pytest.mark.parametrize("place", ["query", "gallery"])
def test_a_single_query_is_checked_as_many_are(size: int, place: str) -> None:
    query, gallery = torch.randn(1, 4), torch.randn(size, 4)
    (query if place == "query" else gallery)[0, 2] = torch.nan
    with pytest.raises(EmbeddingError, match="not finite"):
        topk(query, gallery, 1)


def test_a_single_query_with_close_scores_is_settled_exactly() -> None:
    query = torch.tensor([[1.0, 1.0]])
    gallery = torch.tensor([[0.0, 0.0], [1.0, 2.0**-24], [1.0, 0.0], [0.5, 0.0]])
    found = topk(query, gallery, 3)
    assert found.indices.tolist() == [[1, 2, 3]]
    assert found.scores.tolist() == [[1.0, 1.0, 0.5]]
