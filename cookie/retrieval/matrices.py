"""Matrices of embeddings or scores: tensors, arrays, memory maps, read block by block."""

from __future__ import annotations

import warnings
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cookie.errors import UserError

Matrix: TypeAlias = Tensor | NDArray[np.floating]
"""(rows, D) in any floating point type: a tensor on any device, an array, or a memory map."""

_ROWS_AT_ONCE = 65_536


class EmbeddingError(UserError, ValueError):
    """Embeddings or scores that cannot be ranked: wrong shape, not finite, or all zero."""


def as_tensor(matrix: Matrix) -> Tensor:
    """Return a tensor that shares memory with ``matrix`` and is only to be read."""
    if isinstance(matrix, Tensor):
        return matrix
    with warnings.catch_warnings():  # torch warns of read-only memory maps; nobody writes here
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.ascontiguousarray(matrix))


def common_device(*matrices: Matrix) -> torch.device:
    """Return the device of the first tensor among ``matrices``, else the CPU."""
    tensors = [matrix for matrix in matrices if isinstance(matrix, Tensor)]
    return tensors[0].device if tensors else torch.device("cpu")


def check_matrices(queries: Matrix, gallery: Matrix) -> None:
    """Raise :class:`EmbeddingError` unless both are (rows, D) with one D."""
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise EmbeddingError(
            f"Embeddings must be two matrices of the same width, not "
            f"{tuple(queries.shape)} and {tuple(gallery.shape)}."
        )


def reject_not_finite(embeddings: Matrix, kind: str, first: int = 0) -> None:
    """Raise :class:`EmbeddingError` naming a row with NaN or infinity, counted from ``first``."""
    for start in range(0, len(embeddings), _ROWS_AT_ONCE):
        part = as_tensor(embeddings[start : start + _ROWS_AT_ONCE])
        finite = torch.isfinite(part).all(dim=1)
        if not bool(finite.all()):
            row = first + start + int((~finite).nonzero()[0])
            raise EmbeddingError(
                f"{kind} embedding {row} is not finite (NaN or infinity): "
                "the model that made it has diverged or overflowed."
            )


def reject_zero(embeddings: Tensor, kind: str) -> None:
    """Raise :class:`EmbeddingError` naming the first row that is all zero, if any."""
    zero = (~embeddings.any(dim=1)).nonzero().flatten()
    if len(zero):
        raise EmbeddingError(
            f"{kind} embedding {int(zero[0])} is all zero (one of {len(zero)}): "
            "its scores would all tie."
        )


def reject_scores(scores: Tensor) -> None:
    """Raise :class:`EmbeddingError` if any of ``scores`` (B, G) is NaN or +inf."""
    if scores.numel() and not bool(scores.amax() < torch.inf):  # NaN propagates through amax
        raise EmbeddingError(
            "The scores contain NaN or +inf: they cannot be ranked; look for an overflow or a "
            "division by zero in the scorer (-inf is allowed and means 'not scored')."
        )
