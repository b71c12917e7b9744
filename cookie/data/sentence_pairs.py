"""Pairs of sentences that people rated for how alike they are in meaning."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cookie.errors import DataError

Row = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class SentencePairs:
    """Rated pairs.

    Attributes:
        first, second: (P,) sentences.
        ratings: (P,) float64; larger is more alike. 0 and 1 where pairs are paraphrases or not.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    ratings: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first)


def sick(path: Path) -> SentencePairs:
    """Read SICK (Marelli et al., 2014): tab-separated, relatedness 1 to 5."""
    return _read(path, lambda text: ((r[1], r[2], float(r[3])) for r in _table(text)[1:]))


def sts_benchmark(path: Path) -> SentencePairs:
    """Read STS-B (Cer et al., 2017) as comma-separated sentences and similarity 0 to 5."""
    return _read(
        path, lambda text: ((r[0], r[1], float(r[2])) for r in csv.reader(io.StringIO(text)))
    )


def sts_images(path: Path) -> SentencePairs:
    """Read the images part of SemEval STS (Agirre et al., 2014, 2015); only what was rated."""
    return _read(
        path, lambda text: ((r[1], r[2], float(r[0])) for r in _table(text) if r[0].strip())
    )


def paraphrases(path: Path) -> SentencePairs:
    """Read MRPC (Dolan and Brockett, 2005): 1 for a paraphrase, 0 for none."""
    return _read(path, lambda text: ((r[3], r[4], float(r[0])) for r in _table(text)[1:]))


def crisscrossed(path: Path, captions: Path) -> SentencePairs:
    """Read the caption pairs of CxC (Parekh et al., 2021), similarity 0 to 5.

    Args:
        path: caption ids ending in ``:<annotation id>``, and the aggregated score.
        captions: JSON of annotation id -> caption; pairs whose captions it lacks are left out.
    """
    known: dict[str, str] = json.loads(_text(captions))

    def rows(text: str) -> Iterable[Row]:
        for row in csv.DictReader(io.StringIO(text)):
            ids = [row[name].rpartition(":")[2] for name in ("caption1", "caption2")]
            if all(name in known for name in ids):
                yield known[ids[0]], known[ids[1]], float(row["agg_score"])

    return _read(path, rows)


def _table(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines() if line.strip()]


def _read(path: Path, parse: Callable[[str], Iterable[Row]]) -> SentencePairs:
    try:
        rows = list(parse(_text(path)))
    except (ValueError, IndexError, KeyError) as error:
        raise DataError(f"'{path}' is no such file of sentence pairs: {error}.") from None
    if not rows:
        raise DataError(f"'{path}' holds no rated pair of sentences.")
    first, second, ratings = zip(*rows, strict=True)
    return SentencePairs(first, second, np.array(ratings, np.float64))


def _text(path: Path) -> str:
    try:
        return gzip.decompress(path.read_bytes()).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read as gzipped text: {error}.") from error
