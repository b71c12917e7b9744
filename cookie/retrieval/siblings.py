"""Captions as queries for the other captions of their image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cookie.interfaces import IndexArray
from cookie.retrieval.topk import topk


class SiblingMetrics(NamedTuple):
    """What each query found; a caption that is alone with its image asks nothing.

    Attributes:
        queries: (Q,) rows of the captions that asked.
        hits: K -> (Q,) 1.0 where a sibling is among the first K.
        average_precision: (Q,) average precision at R, R being the number of siblings.
    """

    queries: IndexArray
    hits: dict[int, NDArray[np.float64]]
    average_precision: NDArray[np.float64]


def sibling_retrieval(
    captions: Tensor, caption_image: ArrayLike, ks: tuple[int, ...] = (1, 5, 10)
) -> SiblingMetrics:
    """Rank all other captions for each caption; right ones have the same image.

    Average precision at R is the mean, over the first R answers, of the precision at each right
    one, a wrong one counting 0 (MAP@R; Musgrave et al., "A Metric Learning Reality Check", 2020).

    Args:
        captions: (M, D) embeddings.
        caption_image: (M,) image of each.
        ks: of the hits.
    """
    owners = np.asarray(caption_image)
    siblings = np.bincount(owners)[owners] - 1  # (M,)
    queries = np.flatnonzero(siblings > 0)
    depth = min(len(owners) - 1, max(*ks, int(siblings.max(initial=1))))
    rows = torch.from_numpy(queries).to(captions.device)
    found = topk(captions[rows], captions, depth + 1).indices.cpu().numpy()
    right = owners[_without(found, queries)] == owners[queries, None]  # (Q, depth)
    hits = {k: right[:, :k].any(axis=1).astype(np.float64) for k in ks}
    return SiblingMetrics(queries, hits, _average_precision(right, siblings[queries]))


def _without(found: IndexArray, queries: IndexArray) -> IndexArray:
    """Return ``found`` without the query itself, which equal captions may have pushed anywhere."""
    own = found == queries[:, None]
    own[:, -1] |= ~own.any(axis=1)
    others: IndexArray = found[~own].reshape(len(found), -1)
    return others


def _average_precision(right: NDArray[np.bool_], relevant: IndexArray) -> NDArray[np.float64]:
    place = np.arange(1, right.shape[1] + 1)
    counted = right & (place <= relevant[:, None])
    precision = counted.cumsum(axis=1) / place
    result: NDArray[np.float64] = (precision * counted).sum(axis=1) / relevant
    return result
