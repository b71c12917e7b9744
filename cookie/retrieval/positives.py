"""Ground truth of a retrieval direction: which gallery rows are right for each query, ragged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cookie.errors import UserError
from cookie.interfaces import IndexArray


class GroundTruthError(UserError, ValueError):
    """Ground truth that does not fit the queries or the gallery it is given for."""


@dataclass(frozen=True, slots=True)
class Positives:
    """The right gallery rows of Q queries as compressed rows (CSR); a row may be empty.

    Attributes:
        offsets: (Q + 1,) int64; row q is ``indices[offsets[q] : offsets[q + 1]]``.
        indices: int64 gallery rows, ascending and without repeats within a query.
    """

    offsets: IndexArray
    indices: IndexArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> IndexArray:
        """(Q,) the number of positives of each query."""
        return np.diff(self.offsets)

    @property
    def answerable(self) -> IndexArray:
        """The queries that have a positive at all; the others cannot be evaluated."""
        return np.flatnonzero(self.counts).astype(np.int64)

    def of(self, query: int) -> IndexArray:
        """Return the positives of one query."""
        return self.indices[self.offsets[query] : self.offsets[query + 1]]

    def select(self, queries: IndexArray) -> Positives:
        """Return the rows of ``queries``, in that order."""
        counts = self.counts[queries]
        offsets = _offsets(counts)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        return Positives(offsets, self.indices[np.repeat(self.offsets[queries], counts) + within])

    def padded(self, device: torch.device | str = "cpu") -> Tensor:
        """Return (Q, P) int64 gallery rows, P the most positives of a query, -1 for padding."""
        counts = self.counts
        padded = np.full((len(self), max(1, int(counts.max(initial=0)))), -1, dtype=np.int64)
        padded[np.arange(padded.shape[1]) < counts[:, None]] = self.indices
        return torch.from_numpy(padded).to(device)

    def check(self, queries: int, gallery: int) -> None:
        """Raise :class:`GroundTruthError` unless the rows fit ``queries`` and ``gallery`` sizes."""
        if len(self) != queries:
            raise GroundTruthError(
                f"The ground truth has {len(self)} queries but the scores have {queries}: "
                "give one entry per query."
            )
        if len(self.indices) and (self.indices.min() < 0 or self.indices.max() >= gallery):
            wrong = self.indices[(self.indices < 0) | (self.indices >= gallery)][0]
            raise GroundTruthError(
                f"The ground truth names gallery row {wrong}, but the gallery has {gallery} rows."
            )

    @staticmethod
    def from_pairs(queries: ArrayLike, gallery: ArrayLike, query_count: int) -> Positives:
        """Build from parallel arrays of matching (query, gallery row) pairs, in any order."""
        pairs = np.stack([_integers(queries), _integers(gallery)], axis=1)
        pairs = np.unique(pairs, axis=0)
        counts = np.bincount(pairs[:, 0], minlength=query_count)
        return Positives(_offsets(counts), np.ascontiguousarray(pairs[:, 1]))

    @staticmethod
    def from_lists(rows: Sequence[ArrayLike]) -> Positives:
        """Build from one list of gallery rows per query."""
        lists = [np.unique(_integers(row)) for row in rows]
        counts = np.array([len(row) for row in lists], dtype=np.int64)
        return Positives(_offsets(counts), np.concatenate([np.empty(0, np.int64), *lists]))


PositivesLike: TypeAlias = Positives | NDArray[np.integer] | Tensor | Sequence[Sequence[int]]
"""Ground truth as users have it: :class:`Positives`, (Q,) one row each, or a list per query."""


def as_positives(positives: PositivesLike) -> Positives:
    """Return ``positives`` as compressed rows."""
    if isinstance(positives, Positives):
        return positives
    if isinstance(positives, (np.ndarray, Tensor)):
        single = _integers(positives.cpu().numpy() if isinstance(positives, Tensor) else positives)
        return Positives(np.arange(len(single) + 1), single)
    return Positives.from_lists([_integers(row).reshape(-1) for row in positives])


def check_caption_image(caption_image: PositivesLike, images: int, captions: int) -> IndexArray:
    """Return ``caption_image`` as (captions,) int64.

    Raises:
        GroundTruthError: its length is not the number of captions, or a caption points at an
            image that is not there.
    """
    index = _integers(caption_image)
    if index.shape != (captions,):
        raise GroundTruthError(
            f"caption_image has shape {index.shape} but there are {captions} captions: "
            "give the image index of each caption."
        )
    wrong = np.flatnonzero((index < 0) | (index >= images))
    if len(wrong):
        raise GroundTruthError(
            f"Caption {wrong[0]} points at image {index[wrong[0]]}, but there are {images} images "
            f"(0 to {images - 1})."
        )
    return index


def text_positives(caption_image: IndexArray) -> Positives:
    """Ground truth of t2i: each caption's one image."""
    return Positives(np.arange(len(caption_image) + 1), caption_image)


def image_positives(caption_image: IndexArray, images: int) -> Positives:
    """Ground truth of i2t: each image's captions, however many."""
    order = np.argsort(caption_image, kind="stable").astype(np.int64)
    return Positives(_offsets(np.bincount(caption_image, minlength=images)), order)


def _offsets(counts: NDArray[np.integer]) -> IndexArray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _integers(values: object) -> IndexArray:
    array = values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise GroundTruthError(f"Ground truth must be whole numbers, not {array.dtype}.")
    return array.astype(np.int64)
