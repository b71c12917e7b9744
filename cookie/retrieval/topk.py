"""Exact nearest neighbors by inner product, in blocks."""

from __future__ import annotations

import warnings
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cookie.interfaces import TopK
from cookie.retrieval.errors import EmbeddingError
from cookie.retrieval.ranking import stable_topk

Matrix: TypeAlias = Tensor | NDArray[np.floating]
"""(rows, D) in any floating point type: a tensor on any device, an array, or a memory map."""

QUERY_BLOCK = 1024
GALLERY_BLOCK = 16_384


@torch.no_grad()
def topk(
    queries: Matrix,
    gallery: Matrix,
    k: int,
    *,
    query_block: int = QUERY_BLOCK,
    gallery_block: int = GALLERY_BLOCK,
) -> TopK:
    """Return the ``k`` gallery rows with the largest inner product with each query.

    Exact: scores are float32 whatever the inputs are stored in, and equal scores are ordered by
    gallery index. Memory is O(queries * k) plus one block of scores; a memory-mapped gallery is
    read once per query block.

    Args:
        queries: (Q, D).
        gallery: (G, D), in memory, memory-mapped, or on a GPU.
        k: neighbors wanted; with fewer gallery rows, all of them are returned.
        query_block: queries scored at once.
        gallery_block: gallery rows scored at once.

    Returns:
        Scores (Q, min(k, G)) descending and gallery rows, on the gallery's device (the queries'
        where the gallery is an array).

    Raises:
        EmbeddingError: widths differ, or a value is not finite.
        ValueError: ``k`` is negative or a block is smaller than 1.
    """
    check_matrices(queries, gallery)
    if k < 0 or min(query_block, gallery_block) < 1:
        raise ValueError(f"k={k} must be at least 0 and blocks at least 1")
    device = common_device(queries, gallery)
    found = [
        _search_block(rows(queries, start, start + query_block, device), gallery, k, gallery_block)
        for start in range(0, len(queries), query_block)
    ]
    if not found:
        empty = torch.empty(0, min(k, len(gallery)), device=device)
        return TopK(empty, empty.long())
    return TopK(torch.cat([part.scores for part in found]), torch.cat([p.indices for p in found]))


def _search_block(queries: Tensor, gallery: Matrix, k: int, block: int) -> TopK:
    """Search the gallery for one block of queries, keeping the best ``k`` so far."""
    scores = queries.new_empty(len(queries), 0)
    indices = torch.empty_like(scores, dtype=torch.int64)
    for start in range(0, len(gallery), block):
        part = queries @ rows(gallery, start, start + block, queries.device).T
        values, columns = stable_topk(part, k)
        # Earlier rows stand to the left, so the lowest column is the lowest gallery index.
        scores, order = stable_topk(torch.cat([scores, values], dim=1), k)
        indices = torch.cat([indices, columns + start], dim=1).gather(1, order)
    return TopK(scores, indices)


def rows(matrix: Matrix, start: int, stop: int, device: torch.device) -> Tensor:
    """Return rows ``start:stop`` as float32 on ``device``; the only place that reads a matrix.

    Raises:
        EmbeddingError: a value among them is not finite.
    """
    tensor = as_tensor(matrix[start:stop]).to(device, torch.float32)
    if not bool(torch.isfinite(tensor.sum(dim=1)).all()):
        _reject(tensor, start)
    return tensor


def as_tensor(matrix: Matrix) -> Tensor:
    """Return a tensor that shares memory with ``matrix`` and is only to be read."""
    if isinstance(matrix, Tensor):
        return matrix
    with warnings.catch_warnings():  # torch warns of read-only memory maps; nobody writes here
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.ascontiguousarray(matrix))


def _reject(tensor: Tensor, start: int) -> None:
    bad = torch.nonzero(~torch.isfinite(tensor).all(dim=1)).flatten()
    if len(bad):  # otherwise finite values overflowed in the sum
        raise EmbeddingError(
            f"Embedding {start + int(bad[0])} is not finite (NaN or infinity): "
            "the model that made it has diverged or overflowed."
        )


def check_matrices(queries: Matrix, gallery: Matrix) -> None:
    """Raise :class:`EmbeddingError` unless both are (rows, D) with one D."""
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise EmbeddingError(
            f"Embeddings must be two matrices of the same width, not "
            f"{tuple(queries.shape)} and {tuple(gallery.shape)}."
        )


def common_device(queries: Matrix, gallery: Matrix) -> torch.device:
    """Return where to compute: the gallery's device, else the queries', else the CPU."""
    for matrix in (gallery, queries):
        if isinstance(matrix, Tensor):
            return matrix.device
    return torch.device("cpu")
