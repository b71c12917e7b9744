"""Galleries that are indexed once and searched often: exact, or approximate through faiss.

``flat`` is this package's own exact search. ``hnsw`` and ``ivf`` are faiss's (the ``ann`` extra):
approximate, faster on large galleries, to be judged by :func:`overlap` with the exact answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cookie.errors import UserError
from cookie.interfaces import Searcher, TopK
from cookie.registry import Registry
from cookie.retrieval.matrices import EmbeddingError, Matrix, as_tensor, reject_not_finite
from cookie.retrieval.topk import topk

indexes: Registry[Callable[[], Searcher]] = Registry("index")
"""Name -> constructor of a searcher, for ``--index``."""


@indexes.register("flat")
class FlatIndex:
    """Exact inner-product search; the gallery stays where it is, memory-mapped if it was."""

    def __init__(self) -> None:
        self._gallery: Matrix | None = None
        self._longest = 0.0

    def index(self, gallery: Matrix) -> None:
        """Take in a gallery (G, D), and look once at every row.

        Raises:
            EmbeddingError: a value is not finite.
        """
        reject_not_finite(gallery, "Gallery")
        lengths = [
            torch.linalg.vector_norm(as_tensor(gallery[start : start + 65_536]).float(), dim=1)
            for start in range(0, len(gallery), 65_536)
        ]
        self._longest = float(torch.cat(lengths).amax()) if lengths else 0.0
        self._gallery = gallery

    def search(self, queries: Matrix, k: int) -> TopK:
        """Return the ``k`` best gallery rows of each query (Q, D), exactly."""
        return topk(queries, _indexed(self._gallery), k, longest=self._longest)


class FaissIndex:
    """A faiss inner-product index.

    Args:
        recipe: faiss index factory string, given the gallery size.
        tune: sets search-time parameters on the built index.
    """

    def __init__(self, recipe: Callable[[int], str], tune: Callable[[Any], None]) -> None:
        self._recipe, self._tune = recipe, tune
        self._index: Any = None

    def index(self, gallery: Matrix) -> None:
        """Train on, and add, a gallery (G, D); faiss keeps a float32 copy.

        Raises:
            UserError: faiss is not installed.
            EmbeddingError: a value is not finite, or the gallery is empty.
        """
        reject_not_finite(gallery, "Gallery")
        if not len(gallery):
            raise EmbeddingError("An approximate index needs at least one gallery row.")
        faiss, rows = _faiss(), _array(gallery)
        metric = faiss.METRIC_INNER_PRODUCT
        self._index = faiss.index_factory(rows.shape[1], self._recipe(len(rows)), metric)
        self._index.train(rows)
        self._index.add(rows)
        self._tune(self._index)

    def search(self, queries: Matrix, k: int) -> TopK:
        """Return up to ``k`` gallery rows of each query; -1 and -inf where none was found."""
        index = _indexed(self._index)
        k = min(k, int(index.ntotal))
        scores, rows = index.search(_array(queries), k)
        found = TopK(torch.from_numpy(scores), torch.from_numpy(rows))
        found.scores[found.indices < 0] = -torch.inf
        return found


@indexes.register("hnsw")
def hnsw(neighbors: int = 32, effort: int = 64) -> FaissIndex:
    """Return a graph index (Malkov and Yashunin, 2018).

    Args:
        neighbors: links per gallery row.
        effort: candidates kept while searching; more finds more and takes longer.
    """

    def tune(index: Any) -> None:  # noqa: ANN401 -- faiss has no types
        index.hnsw.efSearch = effort

    return FaissIndex(lambda _: f"HNSW{neighbors},Flat", tune)


@indexes.register("ivf")
def ivf(probes: int = 16) -> FaissIndex:
    """Return an inverted file of about 4 * sqrt(G) cells, as faiss's guidelines suggest.

    Args:
        probes: cells looked into; more finds more and takes longer.
    """

    def cells(size: int) -> str:
        # faiss warns below 39 training rows a cell
        return f"IVF{max(1, min(int(4 * size**0.5), size // 39))},Flat"

    def tune(index: Any) -> None:  # noqa: ANN401
        index.nprobe = min(probes, index.nlist)

    return FaissIndex(cells, tune)


def build_index(name: str, gallery: Matrix) -> Searcher:
    """Return the index called ``name`` (``flat``, ``hnsw``, ``ivf``) over ``gallery`` (G, D).

    Raises:
        UserError: the name is unknown, or faiss is needed and not installed.
    """
    searcher = indexes[name]()
    searcher.index(gallery)
    return searcher


def overlap(found: TopK, exact: TopK) -> float:
    """Return the percentage of the exact neighbors that were found (recall of the index).

    A neighbor counts by score: one that scores as much as the last exact one is as good.
    """
    last = exact.scores[:, -1:]
    tolerance = 1e-5 * last.abs().clamp(min=1e-6)
    good = (found.scores >= last - tolerance) & (found.indices >= 0)
    return 100.0 * float(good.sum()) / max(1, exact.scores.numel())


def _indexed(index: Any) -> Any:  # noqa: ANN401 -- hands through what it is given
    if index is None:
        raise RuntimeError("index() a gallery before searching")
    return index


def _array(matrix: Matrix) -> np.ndarray[Any, np.dtype[np.float32]]:
    tensor: Tensor = as_tensor(matrix).to("cpu", torch.float32)
    return tensor.contiguous().numpy()


def _faiss() -> Any:  # noqa: ANN401 -- faiss has no types
    try:
        import faiss
    except ImportError:
        raise UserError(
            "This index needs faiss: pip install 'cookie-retrieval[ann]', or use --index flat."
        ) from None
    return faiss
