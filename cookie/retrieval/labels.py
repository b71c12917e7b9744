"""Positives beyond the original caption of an image: Crisscrossed Captions and ECCV Caption.

* ECCV Caption (Chun et al., ECCV 2022) and the image-caption part of Crisscrossed Captions
  (Parekh et al., EACL 2021) come with the ``eccv-caption`` package; only its label files are read.
* The text-text and image-image parts of Crisscrossed Captions are CSV files of rated pairs.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cookie.errors import DataError, UserError
from cookie.interfaces import IndexArray
from cookie.retrieval.positives import Positives

_ABSENT_SHARE = 0.001
LabelSet = Literal["original", "cxc", "eccv"]


@dataclass(frozen=True, slots=True)
class Labels:
    """Positives of both directions; a query without any is not asked.

    Attributes:
        i2t: of images, rows of captions. t2i: of captions, rows of images.
        absent: how many positives of i2t are no caption of the split (ECCV Caption has two). They
            are numbered from the number of captions on, count in R, and cannot be found.
    """

    i2t: Positives
    t2i: Positives
    absent: int = 0


@dataclass(frozen=True, slots=True)
class CocoIds:
    """The MSCOCO 5K test split as the label files know it, in the order of its five folds.

    Attributes:
        images: (5000,) image ids.
        captions: (25000,) caption ids.
        caption_image: (25000,) row in ``images`` of each caption.
    """

    images: IndexArray
    captions: IndexArray
    caption_image: IndexArray


def coco_ids() -> CocoIds:
    """Return the ids of the 5,000 test images and 25,000 captions.

    Raises:
        UserError: the ``eccv-caption`` package is not installed.
    """
    captions = np.load(_label_folder() / "coco_test_ids.npy").astype(np.int64)
    owner = _read("original", "caption_to_image")
    image_of = np.array([owner[int(caption)][0] for caption in captions], dtype=np.int64)
    _, first, inverse = np.unique(image_of, return_index=True, return_inverse=True)
    order = np.argsort(first)  # images in the order in which their captions come
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return CocoIds(image_of[first[order]], captions, rank[inverse].astype(np.int64))


def coco_labels(
    name: LabelSet, image_ids: Sequence[int] | IndexArray, caption_ids: Sequence[int] | IndexArray
) -> Labels:
    """Return label set ``name`` for embeddings in the order of the given COCO ids.

    Args:
        name: ``original`` (the captions' own images), ``cxc`` or ``eccv``.
        image_ids: COCO id of each image row.
        caption_ids: COCO id of each caption row.

    Raises:
        DataError: a labelled image or caption is not among the ids.
        UserError: the ``eccv-caption`` package is not installed.
    """
    images = {int(value): row for row, value in enumerate(image_ids)}
    captions = {int(value): row for row, value in enumerate(caption_ids)}
    of_images, of_captions = _read(name, "image_to_caption"), _read(name, "caption_to_image")
    gallery, absent = dict(captions), _absent(of_images, captions)
    gallery.update({value: len(captions) + place for place, value in enumerate(absent)})
    return Labels(
        i2t=_positives(of_images, images, gallery),
        t2i=_positives(of_captions, captions, images),
        absent=len(absent),
    )


def rated_pairs(path: Path, rows: Mapping[str, int], threshold: float) -> Positives:
    """Read a Crisscrossed Captions CSV of pairs within one modality (``sts_*``, ``sis_*``).

    Args:
        path: CSV, plain or ``.gz``: two ids, the mean rating (0 to 5), the sampling method.
        rows: id as in the file -> row of the embeddings; pairs with other ids are skipped.
        threshold: rating from which a pair counts as a match.

    Returns:
        For each of ``len(rows)`` rows the rows it matches, in both directions.

    Raises:
        DataError: the file is missing or is no such CSV.
    """
    pairs = [
        (rows[first], rows[second])
        for first, second, rating in _ratings(path)
        if rating >= threshold and first in rows and second in rows and first != second
    ]
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    both = np.concatenate([first, second]), np.concatenate([second, first])
    return Positives.from_pairs(*both, len(rows))


def siblings(caption_image: IndexArray) -> Positives:
    """Return for each caption the other captions of its image: the plain t2t ground truth."""
    order = np.argsort(caption_image, kind="stable")
    counts = np.bincount(caption_image)[caption_image[order]]
    starts = np.searchsorted(caption_image[order], caption_image[order])
    owner = np.repeat(order, counts)
    ends = np.cumsum(counts)
    within = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
    other = order[np.repeat(starts, counts) + within]
    different = owner != other
    return Positives.from_pairs(owner[different], other[different], len(caption_image))


def union(first: Positives, second: Positives) -> Positives:
    """Return the positives that either has, for the same queries."""
    owners = [np.repeat(np.arange(len(part)), part.counts) for part in (first, second)]
    indices = np.concatenate([first.indices, second.indices])
    return Positives.from_pairs(np.concatenate(owners), indices, len(first))


def _ratings(path: Path) -> Iterator[tuple[str, str, float]]:
    try:
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        for row in list(csv.reader(io.StringIO(text.decode())))[1:]:
            yield row[0], row[1], float(row[2])
    except FileNotFoundError:
        raise DataError(f"There is no file '{path}' of rated pairs.") from None
    except (ValueError, IndexError, gzip.BadGzipFile) as error:
        raise DataError(f"'{path}' is no CSV of two ids and a rating: {error}.") from error


def _absent(matches: Mapping[int, Sequence[int]], gallery: Mapping[int, int]) -> list[int]:
    """Return the few labelled ids outside of the gallery; many mean that it is another gallery."""
    labelled = {item for items in matches.values() for item in items}
    absent = sorted(labelled - gallery.keys())
    return absent if len(absent) <= _ABSENT_SHARE * len(labelled) else []


def _positives(
    matches: Mapping[int, Sequence[int]], queries: Mapping[int, int], gallery: Mapping[int, int]
) -> Positives:
    pairs = [(query, item) for query, items in matches.items() for item in items]
    try:
        rows = [(queries[query], gallery[item]) for query, item in pairs]
    except KeyError as error:
        raise DataError(
            f"The labels name COCO id {error.args[0]}, which is not among the embeddings' ids: "
            "these labels are for the 5,000 images and 25,000 captions of the Karpathy test split."
        ) from None
    owner, item = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return Positives.from_pairs(owner, item, len(queries))


def _read(name: str, direction: str) -> dict[int, list[int]]:
    path = _label_folder() / f"{name}_{direction}.json"
    return {int(key): items for key, items in json.loads(path.read_text()).items()}


def _label_folder() -> Path:
    """Return where the package keeps its labels, without importing it."""
    package = importlib.util.find_spec("eccv_caption")
    if package is None or package.origin is None:
        raise UserError("The labels need the 'eccv-caption' package: pip install eccv-caption.")
    return Path(package.origin).parent / "data"
