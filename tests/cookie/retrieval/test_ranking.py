"""Selection and ranking within a block, with ties of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cookie.retrieval.ranking import BlockRanks, best_of_rows, rank_block, stable_topk
from tests.cookie.retrieval import oracle


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 30),
    k=st.integers(0, 33),
    seed=st.integers(0, 99),
)
def test_stable_topk_is_a_stable_sort(rows: int, columns: int, k: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-2, 3, (rows, columns), generator=generator).float()
    scores[scores == -2] = -torch.inf
    values, found = stable_topk(scores, k)
    for row in range(rows):
        expected = oracle.ranking(scores[row].numpy())[:k]
        assert found[row].tolist() == expected.tolist()
        assert values[row].tolist() == scores[row][expected].tolist()


@pytest.mark.parametrize("columns", [640, 6400, 6401, 64])
@pytest.mark.parametrize("k", [1, 10, 100])
def test_best_of_rows_finds_the_best_in_any_row_length(columns: int, k: int) -> None:
    scores = torch.randn(5, columns, generator=torch.Generator().manual_seed(columns))
    values, found = best_of_rows(scores, k)
    expected = scores.sort(dim=1, descending=True).values[:, :k]
    assert torch.equal(values, expected)
    assert torch.equal(scores.gather(1, found), expected)


def test_best_of_rows_when_one_chunk_holds_them_all() -> None:
    """Chunk c holds columns c, c + chunks, ...: put the best ten into one of them."""
    chunks = 100
    scores = torch.rand(1, 64 * chunks)
    scores[0, 7 + chunks * torch.arange(10)] += 2.0
    _, found = best_of_rows(scores, 10)
    assert sorted(found[0].tolist()) == [7 + chunks * place for place in range(10)]


@pytest.mark.parametrize("rest", [1, 63])
def test_best_of_rows_when_they_stand_after_the_last_whole_chunk(rest: int) -> None:
    size = 64 * 100 + rest
    scores = torch.rand(2, size, generator=torch.Generator().manual_seed(rest))
    scores[0, size - 1] += 2.0
    scores[1, 5] += 2.0
    values, found = best_of_rows(scores, 3)
    assert found[:, 0].tolist() == [size - 1, 5]
    assert torch.equal(values, scores.gather(1, found))
    assert torch.equal(values, scores.sort(dim=1, descending=True).values[:, :3])


def test_ranks_of_a_block_written_out() -> None:
    scores = torch.tensor([[5.0, 5.0, 5.0, 1.0], [1.0, 2.0, 2.0, 2.0], [0.0, 1.0, 2.0, 3.0]])
    positives = torch.tensor([[1, -1], [1, 3], [0, 3]])
    found = rank_block(scores, positives)
    assert found.ranks.tolist() == [1, 0, 0]
    assert found.optimistic.tolist() == [0, 0, 0]
    assert found.pessimistic.tolist() == [2, 1, 0]
    # query 1: order 1, 2, 3, 0 with positives 1 and 3; R = 2: (1 + 0) / 2
    assert found.average_precision.tolist() == [0.0, 0.5, 0.5]
    assert found.r_precision.tolist() == [0.0, 0.5, 0.5]


def test_no_ranks() -> None:
    assert [len(part) for part in BlockRanks.empty()] == [0] * 5


def test_half_precision_is_ranked_as_it_is() -> None:
    scores = torch.tensor(np.linspace(1, 1.001, 8), dtype=torch.bfloat16)[None]
    found = rank_block(scores, torch.tensor([[5]]))
    assert (int(found.optimistic[0]), int(found.pessimistic[0])) == (0, 7)
