"""Cosines against ratings of sentence pairs: rank correlation, and paraphrase or not."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def spearman(cosines: ArrayLike, ratings: ArrayLike) -> tuple[float, float]:
    """Return 100 times Spearman's rank correlation and its standard error.

    The error is 1.06 / sqrt(n - 3) on Fisher's scale (Fieller, Hartley and Pearson, 1957), brought
    back by the slope 1 - rho^2.
    """
    pair = np.asarray(cosines, np.float64).ravel(), np.asarray(ratings, np.float64).ravel()
    rho = float(stats.spearmanr(*pair).statistic)
    error = 1.06 / max(1, len(pair[0]) - 3) ** 0.5 * (1 - rho**2)
    return 100 * rho, 100 * float(error)


def best_threshold(cosines: ArrayLike, labels: ArrayLike) -> float:
    """Return the cosine from which calling a pair a paraphrase is right most often.

    Args:
        cosines: (P,).
        labels: (P,) 1 for a paraphrase, 0 for none.
    """
    order = np.argsort(-np.asarray(cosines, np.float64), kind="stable")
    values = np.asarray(cosines, np.float64)[order]
    gain = np.cumsum(np.where(np.asarray(labels)[order] > 0.5, 1, -1))  # right minus wrong
    last = np.append(values[1:] < values[:-1], True)  # equal cosines are on one side
    best = int(np.argmax(np.where(last, gain, gain.min() - 1)))
    if gain[best] <= 0:
        return float(values[0]) + 1.0
    return float(values[best])


def accuracy_and_f1(cosines: ArrayLike, labels: ArrayLike, threshold: float) -> tuple[float, float]:
    """Return percent of right answers and F1 of the paraphrases: pairs from ``threshold`` on."""
    said, true = np.asarray(cosines) >= threshold, np.asarray(labels) > 0.5
    both = float((said & true).sum())
    total = float(said.sum() + true.sum())
    return 100 * float((said == true).mean()), 200 * both / total if total else 0.0


def paired_cosines(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return (P,) inner products of matching rows (P, D) of L2-normalized embeddings."""
    product = np.asarray(first, np.float64) * np.asarray(second, np.float64)
    cosines: NDArray[np.float64] = product.sum(axis=1)
    return cosines
