"""Captions that find captions of their image, against a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cookie.retrieval.siblings import sibling_retrieval


def slow(vectors: torch.Tensor, owners: np.ndarray, query: int) -> tuple[list[bool], int]:
    scores = (vectors @ vectors[query]).tolist()
    others = [c for c in range(len(owners)) if c != query]
    order = sorted(others, key=lambda c: (-scores[c], c))
    return [bool(owners[c] == owners[query]) for c in order], int(
        (owners == owners[query]).sum()
    ) - 1


@pytest.mark.parametrize("seed", range(4))
def test_hits_and_average_precision_are_their_definitions(seed: int):
    owners = np.repeat(np.arange(7), [1, 2, 5, 1, 3, 4, 2])
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.nn.functional.normalize(torch.randn(len(owners), 5, generator=generator))
    found = sibling_retrieval(vectors, owners, (1, 3))
    assert found.queries.tolist() == [c for c in range(len(owners)) if c not in (0, 8)]
    for row, query in enumerate(found.queries.tolist()):
        right, relevant = slow(vectors, owners, query)
        precisions = [sum(right[: i + 1]) / (i + 1) for i in range(relevant) if right[i]]
        assert found.average_precision[row] == pytest.approx(sum(precisions) / relevant)
        for k in (1, 3):
            assert found.hits[k][row] == any(right[:k])


def test_equal_captions_do_not_hide_the_query_from_itself():
    """All vectors are the same: a query is not among the first found and still not its own."""
    owners = np.repeat(np.arange(8), 2)
    found = sibling_retrieval(torch.ones(16, 4) / 2, owners, (1,))
    assert len(found.queries) == 16
    assert found.hits[1].sum() == 2  # the first two captions come first for each other


def test_a_perfect_and_a_hopeless_embedding():
    owners = np.repeat(np.arange(4), 3)
    assert sibling_retrieval(torch.eye(4)[owners], owners).average_precision.tolist() == [1.0] * 12
    apart = torch.eye(3)[np.tile(np.arange(3), 4)]
    assert sibling_retrieval(apart, owners).hits[1].sum() == 0
