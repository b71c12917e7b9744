"""Rankings within one modality, judged by graded relevance; a query never finds itself.

Relevance is a matrix ``gains`` (Q, G) of numbers from 0 to 1, NaN where nobody judged: such
answers are taken out of the ranking before it is scored (condensed lists; Sakai, "Alternatives to
Bpref", SIGIR 2007). The query's own entry is NaN as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def ndcg(scores: ArrayLike, gains: ArrayLike, k: int = 10) -> Floats:
    """Return each query's normalized discounted cumulative gain (Järvelin and Kekäläinen, 2002).

    The gain of the answer at 0-based rank r counts 1 / log2(r + 2); 1 is the best order there is.

    Args:
        scores: (Q, G), larger is nearer.
        gains: (Q, G), NaN where not judged.
        k: answers that count.

    Returns:
        (Q,) in 0..1; NaN where no judged answer has any gain.
    """
    ranked = np.nan_to_num(_ranked(scores, gains)[:, :k])
    best = -np.sort(-np.nan_to_num(np.asarray(gains, np.float64)), axis=1)[:, :k]
    discount = 1 / np.log2(np.arange(ranked.shape[1]) + 2)
    ideal = best @ discount
    result: Floats = np.divide(
        ranked @ discount, ideal, out=np.full(len(ideal), np.nan), where=ideal > 0
    )
    return result


def chance_ndcg(gains: ArrayLike, k: int = 10) -> Floats:
    """Return what :func:`ndcg` is on average over all orders of the judged answers.

    With few judged answers that is far from 0. Every rank then has the mean gain.

    Args:
        gains: (Q, G), NaN where not judged.
        k: answers that count.
    """
    table = np.asarray(gains, np.float64)
    count = (~np.isnan(table)).sum(axis=1)
    discount = 1 / np.log2(np.arange(min(k, table.shape[1])) + 2)
    reached = np.concatenate([[0.0], discount.cumsum()])[np.minimum(count, len(discount))]
    best = -np.sort(-np.nan_to_num(table), axis=1)[:, : len(discount)] @ discount
    expected = np.nansum(table, axis=1) / np.maximum(count, 1) * reached
    result: Floats = np.divide(expected, best, out=np.full(len(best), np.nan), where=best > 0)
    return result


def r_precision(scores: ArrayLike, gains: ArrayLike, threshold: float) -> Floats:
    """Return the share of relevant answers among the first R, R being the number of relevant ones.

    Args:
        scores: (Q, G), larger is nearer.
        gains: (Q, G), NaN where not judged.
        threshold: smallest gain that is relevant.

    Returns:
        (Q,) in 0..1; NaN where nothing is relevant.
    """
    relevant = _ranked(scores, gains) >= threshold  # NaN is not
    count = relevant.sum(axis=1)
    first = np.arange(relevant.shape[1]) < count[:, None]
    found = (relevant & first).sum(axis=1).astype(np.float64)
    result: Floats = np.divide(found, count, out=np.full(len(count), np.nan), where=count > 0)
    return result


def _ranked(scores: ArrayLike, gains: ArrayLike) -> Floats:
    """Return (Q, G) gains, best score first, those that nobody judged at the end."""
    table, judged = np.asarray(scores, np.float64), np.asarray(gains, np.float64)
    if table.shape != judged.shape or table.ndim != 2:
        raise ValueError(f"scores {table.shape} and gains {judged.shape} must be one matrix each")
    order = np.argsort(-np.where(np.isnan(judged), -np.inf, table), axis=1, kind="stable")
    ranked: Floats = np.take_along_axis(judged, order, axis=1)
    return ranked
