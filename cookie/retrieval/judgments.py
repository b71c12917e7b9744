"""How well scores agree with people: Kendall correlation on Flickr8k-Expert and Flickr8k-CF.

The protocol is that of CLIPScore (Hessel et al., EMNLP 2021, appendix A):

* **Expert** (tau-c): 5,822 image-caption pairs with three ratings from 1 to 4 each. A pair is
  left out where the caption's text is one of the image's own captions (158 pairs; 5,664 remain).
  Each rating is a data point of its own: 16,992 of them.
* **CF** (CrowdFlower, tau-b): 47,830 pairs with the share of "yes, it describes the image". All
  are kept.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cookie.errors import DataError
from cookie.retrieval.matrices import EmbeddingError

CLIPSCORE_WEIGHT = 2.5


@dataclass(frozen=True, slots=True)
class Judgments:
    """Image-caption pairs that people rated.

    Attributes:
        images: (P,) image file names.
        captions: (P,) caption ids, ``<image file name>#<number>``, of any image.
        ratings: (P, r) float64, r ratings of each pair.
        variant: which Kendall tau the set is reported with.
    """

    images: tuple[str, ...]
    captions: tuple[str, ...]
    ratings: NDArray[np.float64]
    variant: Literal["b", "c"]

    def __len__(self) -> int:
        return len(self.images)

    def correlation(self, scores: ArrayLike) -> float:
        """Return 100 * Kendall tau between ``scores`` (P,) and every single rating.

        Raises:
            EmbeddingError: not one finite score per pair.
        """
        values = np.asarray(scores, dtype=np.float64)
        if values.shape != (len(self),) or not np.isfinite(values).all():
            raise EmbeddingError(f"{len(self)} judged pairs need as many finite scores.")
        repeated = np.repeat(values, self.ratings.shape[1])
        tau = stats.kendalltau(repeated, self.ratings.ravel(), variant=self.variant)
        return 100.0 * float(tau.statistic)


def clipscore(cosines: ArrayLike) -> NDArray[np.float64]:
    """Return CLIPScore, 2.5 * max(cosine, 0), of image-caption cosines."""
    scores: NDArray[np.float64] = CLIPSCORE_WEIGHT * np.maximum(
        np.asarray(cosines, dtype=np.float64), 0.0
    )
    return scores


def flickr8k_expert(path: Path, captions: Mapping[str, str]) -> Judgments:
    """Read ``ExpertAnnotations.txt`` (or ``.gz``).

    Args:
        path: lines of image, caption id, and three ratings, separated by tabs.
        captions: caption id -> text, of all captions named and all captions of the images.

    Raises:
        DataError: the file is missing or broken, or names a caption that is not in ``captions``.
    """
    own: dict[str, set[str]] = {}
    for name, text in captions.items():
        own.setdefault(name.partition("#")[0], set()).add(_words(text))
    rows = [
        row for row in _rows(path, 5) if _text(captions, row[1], path) not in own.get(row[0], ())
    ]
    return _judgments(rows, slice(2, 5), "c", path)


def flickr8k_crowd(path: Path) -> Judgments:
    """Read ``CrowdFlowerAnnotations.txt`` (or ``.gz``): image, caption id, share of yes, counts.

    Raises:
        DataError: the file is missing or broken.
    """
    return _judgments(_rows(path, 5), slice(2, 3), "b", path)


def _judgments(
    rows: Sequence[Sequence[str]], ratings: slice, variant: Literal["b", "c"], path: Path
) -> Judgments:
    try:
        values = np.array([[float(value) for value in row[ratings]] for row in rows])
    except ValueError as error:
        raise DataError(f"'{path}' holds a rating that is no number: {error}.") from error
    images, captions = tuple(row[0] for row in rows), tuple(row[1] for row in rows)
    return Judgments(images, captions, values.reshape(len(rows), -1), variant)


def _rows(path: Path, columns: int) -> list[list[str]]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except FileNotFoundError:
        raise DataError(f"There is no file '{path}' of human judgments.") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read as (gzipped) text: {error}.") from error
    rows = [line.split("\t") for line in text.splitlines() if line]
    for number, row in enumerate(rows, start=1):
        if len(row) != columns:
            raise DataError(f"Line {number} of '{path}' has {len(row)} columns, not {columns}.")
    return rows


def _text(captions: Mapping[str, str], name: str, path: Path) -> str:
    if name not in captions:
        raise DataError(f"'{path}' judges caption '{name}', which is not among the captions given.")
    return _words(captions[name])


def _words(text: str) -> str:
    return " ".join(text.split())
