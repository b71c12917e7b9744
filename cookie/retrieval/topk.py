"""Exact nearest neighbors by inner product, in blocks."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite

import torch
from torch import Tensor

from cookie.interfaces import TopK
from cookie.retrieval.gallery import GalleryBlocks
from cookie.retrieval.matrices import Matrix, as_tensor, check_matrices, common_device
from cookie.retrieval.ranking import best_of_rows, stable_topk

QUERY_BLOCK = 1024
GALLERY_BLOCK = 8192
_SPARE = 6  # neighbors beyond k that are kept, to settle close scores among them


@torch.no_grad()
def topk(
    queries: Matrix,
    gallery: Matrix,
    k: int,
    *,
    query_block: int = QUERY_BLOCK,
    gallery_block: int = GALLERY_BLOCK,
    longest: float | None = None,
) -> TopK:
    """Return the ``k`` gallery rows with the largest inner product with each query.

    Exact: a score is the inner product rounded to float32, whatever the inputs are stored in, and
    equal scores are ordered by gallery index. Scores returned may be off by float32 rounding; the
    rows and their order are not, whatever the block size, thread count or device. Memory is
    O(queries * k) plus one block of scores; a memory-mapped gallery is read once per query block.

    Args:
        queries: (Q, D).
        gallery: (G, D), in memory, memory-mapped, or on a GPU.
        k: neighbors wanted; with fewer gallery rows, all of them are returned.
        query_block: queries scored at once.
        gallery_block: gallery rows scored at once.
        longest: the largest length of a gallery row, if known; saves reading the gallery twice.

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
    k, device = min(k, len(gallery)), common_device(gallery, queries)
    if not len(queries) or not k:
        empty = torch.empty(len(queries), k, device=device)
        return TopK(empty, torch.empty_like(empty, dtype=torch.int64))
    parts = []
    for start in range(0, len(queries), query_block):
        block = as_tensor(queries[start : start + query_block]).to(device)
        parts.append(_search(GalleryBlocks(block, gallery, gallery_block, longest, start), k))
    if len(parts) == 1:
        return parts[0]
    return TopK(torch.cat([part.scores for part in parts]), torch.cat([p.indices for p in parts]))


def _search(blocks: GalleryBlocks, k: int) -> TopK:
    """Search for one block of queries: fast in float32 first, then settle what is too close.

    Two float32 products further apart than twice their rounding slack are in the right order.
    Rows where neighbors are closer are scored exactly: the shortlist alone where nothing outside
    of it can matter, the whole gallery otherwise.
    """
    scores, indices = _scan(blocks, min(k + _SPARE, blocks.size))
    if _one_and_clear(blocks, scores, k):
        return TopK(scores[:, :k], indices[:, :k])
    slack = 2.0 * blocks.slack()[:, None]  # (B, 1)
    close = (scores[:, :-1] - scores[:, 1:] <= slack)[:, :k].any(dim=1)
    found = TopK(scores[:, :k].clone(), indices[:, :k].clone())
    if not bool(close.any()):
        return found
    contained = (scores[:, k - 1 : k] - scores[:, -1:] > slack).flatten()
    if scores.shape[1] == blocks.size:
        contained = torch.ones_like(contained)
    for rows, settle in ((close & contained, _rescore), (close & ~contained, _rescan)):
        chosen = rows.nonzero().flatten()
        if len(chosen):
            found.scores[chosen], found.indices[chosen] = settle(blocks, chosen, indices, k)
    return found


def _one_and_clear(blocks: GalleryBlocks, scores: Tensor, k: int) -> bool:
    """Tell whether these are the scores of a single query on a CPU, and none are close.

    The time of such a query is overhead: sixteen numbers are compared twenty times faster as
    Python's own than as tensors. An embedding that is not finite is never clear.
    """
    if len(scores) != 1 or scores.is_cuda:
        return False
    slack, values = 2.0 * blocks.slack_of_one(), scores[0, : k + 1].tolist()
    return isfinite(slack) and all(one - other > slack for one, other in pairwise(values))


def _scan(blocks: GalleryBlocks, k: int) -> tuple[Tensor, Tensor]:
    """Return the best ``k`` float32 products and their rows, in any order of close ones.

    Nothing in the loop waits for the device.
    """
    scores, indices = best_of_rows(blocks.products(0), k)
    for start in blocks.starts[1:]:
        values, columns = best_of_rows(blocks.products(start), k)
        values = torch.cat([scores, values], dim=1)
        scores, order = values.topk(min(k, values.shape[1]), dim=1)
        indices = torch.cat([indices, columns + start], dim=1).gather(1, order)
    return scores, indices


def _rescore(blocks: GalleryBlocks, rows: Tensor, indices: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Order the shortlists of ``rows`` by exact score, equals by gallery row."""
    shortlist = indices[rows].sort(dim=1).values  # ascending, so that the lowest comes first
    scores, order = stable_topk(blocks.exact_pairs(rows, shortlist), k)
    return scores, shortlist.gather(1, order)


def _rescan(blocks: GalleryBlocks, rows: Tensor, _: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Search the gallery again for ``rows`` by exact score, equals by gallery row."""
    scores = torch.empty(len(rows), 0, device=rows.device)
    indices = torch.empty_like(scores, dtype=torch.int64)
    for start in blocks.starts:
        values, columns = stable_topk(blocks.exact(rows, start), k)
        # Earlier rows stand to the left, so the lowest column is the lowest gallery row.
        scores, order = stable_topk(torch.cat([scores, values], dim=1), k)
        indices = torch.cat([indices, columns + start], dim=1).gather(1, order)
    return scores, indices
