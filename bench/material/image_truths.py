"""What makes two images alike for table 3, from sources that are no model under test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cookie.data.catalog import find_data_root
from cookie.data.dataset import RetrievalDataset, Split
from cookie.data.scene_similarity import scene_similarity
from cookie.retrieval.caption_agreement import caption_agreement
from cookie.retrieval.judgments import Judgments, flickr8k_crowd, flickr8k_expert

Gains = NDArray[np.float64]
EXPERT, CROWD = "ExpertAnnotations.txt.gz", "CrowdFlowerAnnotations.txt.gz"


@dataclass(frozen=True, slots=True)
class ImageTruth:
    """One ground truth.

    Attributes:
        name: in records: ``scene_graph``, ``expert``, ``crowd`` or ``caption_agreement``.
        gains: (N, N) from 0 to 1, NaN where not judged and on the diagonal.
        threshold: gain from which an image counts as relevant; None where no such line is drawn.
    """

    name: str
    gains: Gains
    threshold: float | None = None


def image_truths(dataset: RetrievalDataset, data_root: Path | None) -> list[ImageTruth]:
    """Return all truths that there are for the test split."""
    split = dataset.split("test")
    proxy = caption_agreement(split.captions, split.caption_image)
    found = [*_of_scenes(split), *_of_people(dataset, find_data_root(data_root) / dataset.name)]
    return [*found, ImageTruth("caption_agreement", _without_self(proxy))]


def _of_scenes(split: Split) -> list[ImageTruth]:
    if split.scenes is None:
        return []
    return [ImageTruth("scene_graph", _without_self(scene_similarity(split.scenes)), 0.5)]


def _of_people(dataset: RetrievalDataset, folder: Path) -> list[ImageTruth]:
    """Return Flickr8k's ratings of one image's caption on another, where the files are there."""
    if dataset.name != "flickr8k" or not (folder / EXPERT).is_file():
        return []
    expert = flickr8k_expert(folder / EXPERT, caption_names(dataset))
    crowd = flickr8k_crowd(folder / CROWD)
    names = dataset.split("test").image_names
    return [
        ImageTruth("expert", tied(names, expert, lambda rating: (rating - 1) / 3), 2 / 3),
        ImageTruth("crowd", tied(names, crowd, lambda share: share), 0.5),
    ]


def caption_names(dataset: RetrievalDataset) -> dict[str, str]:
    """Return ``<image name>#<number>`` -> caption of all splits, as the ratings name captions."""
    names: dict[str, str] = {}
    for split in dataset.splits.values():
        first = np.searchsorted(split.caption_image, split.caption_image)
        numbers = np.arange(len(split.captions)) - first
        owners = split.caption_image.tolist()
        names |= {
            f"{split.image_names[owner]}#{number}": caption
            for owner, number, caption in zip(owners, numbers, split.captions, strict=True)
        }
    return names


def tied(names: tuple[str, ...], judgments: Judgments, gain: Callable[[Gains], Gains]) -> Gains:
    """Return (N, N): the mean gain of ratings of either image's captions on the other image.

    Args:
        names: (N,) of the images; ratings of others are left out, as are an image's own captions.
        judgments: image, caption and ratings of each pair.
        gain: ratings to 0..1.
    """
    place = {name: row for row, name in enumerate(names)}
    owners = [caption.partition("#")[0] for caption in judgments.captions]
    pairs = np.array(
        [
            [place.get(image, -1), place.get(owner, -1)]
            for image, owner in zip(judgments.images, owners, strict=True)
        ]
    )
    kept = (pairs >= 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])
    rows, columns = pairs[kept].T
    values = gain(judgments.ratings.mean(axis=1))[kept]
    sums, counts = np.zeros((2, len(names), len(names)))
    for one, other in ((rows, columns), (columns, rows)):
        np.add.at(sums, (one, other), values)
        np.add.at(counts, (one, other), 1)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _without_self(similarity: Gains) -> Gains:
    alone = similarity.copy()
    np.fill_diagonal(alone, np.nan)
    return alone
