"""A gallery read block by block, and its products with a block of queries."""

from __future__ import annotations

import torch
from torch import Tensor

from cookie.retrieval.matrices import Matrix, as_tensor, reject_not_finite
from cookie.retrieval.products import (
    exact_products,
    inner_products,
    pair_products,
    rounding_slack,
)


class GalleryBlocks:
    """Products of some queries with a gallery that may be anywhere.

    Half-precision galleries are converted block by block into one buffer; on a GPU, half-precision
    queries and galleries are multiplied as they are, with float32 sums.

    Attributes:
        queries: (B, D) on the computing device. first: index of the first among all queries.
        gallery: (G, D) as given. size: G.
        starts: first row of each block.
        longest: scalar tensor, the largest length of the gallery rows read so far; NaN or infinite
            if one of them is.
    """

    def __init__(
        self,
        queries: Tensor,
        gallery: Matrix,
        block: int,
        longest: float | None = None,
        first: int = 0,
    ) -> None:
        half = isinstance(gallery, Tensor) and gallery.is_cuda and gallery.dtype == queries.dtype
        self.queries = queries if half else queries.float()
        self.gallery, self.size, self.first = gallery, len(gallery), first
        self.starts = range(0, self.size, block)
        self.longest = torch.full((), longest or 0.0, device=queries.device)
        self._known, self._block = longest is not None, block
        self._buffer: Tensor | None = None

    def products(self, start: int) -> Tensor:
        """Return (B, up to a block) float32 products with the gallery rows from ``start``."""
        part = self._read(start)
        if not self._known:
            lengths = torch.linalg.vector_norm(part, dim=1, dtype=torch.float32)
            self.longest = torch.maximum(self.longest, lengths.amax())
        return inner_products(self.queries, part)

    def slack(self) -> Tensor:
        """Return the rounding slack (B,) of all products so far.

        Raises:
            EmbeddingError: an embedding is not finite.
        """
        slack = rounding_slack(self.queries, self.longest)
        if not bool(torch.isfinite(slack).all()):
            reject_not_finite(self.queries, "Query", self.first)
            reject_not_finite(self.gallery, "Gallery")
        return slack

    def slack_of_one(self) -> float:
        """Return the slack of a single query; NaN or infinite where an embedding is."""
        return float(rounding_slack(self.queries, self.longest))

    def exact(self, rows: Tensor, start: int) -> Tensor:
        """Return (R, up to a block) scores of the queries ``rows``, exactly rounded."""
        return exact_products(self.queries[rows], self._read(start))

    def exact_pairs(self, rows: Tensor, indices: Tensor) -> Tensor:
        """Return (R, S) exactly rounded scores of the queries ``rows`` with their shortlists."""
        needed, place = torch.unique(indices, return_inverse=True)
        if isinstance(self.gallery, Tensor):
            part = self.gallery[needed.to(self.gallery.device)]
        else:
            part = as_tensor(self.gallery[needed.cpu().numpy()])
        left = rows[:, None].expand_as(indices).flatten()
        scores = pair_products(self.queries, part.to(rows.device), left, place.flatten())
        return scores.view_as(indices)

    def _read(self, start: int) -> Tensor:
        part = as_tensor(self.gallery[start : start + self._block])
        if part.dtype == self.queries.dtype and part.device == self.queries.device:
            return part
        if self._buffer is None:
            self._buffer = self.queries.new_empty(part.shape)
        return self._buffer[: len(part)].copy_(part, non_blocking=True)
