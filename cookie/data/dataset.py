"""A retrieval data set: images with any number of captions each, in named splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from cookie.errors import DataError, is_text, unknown
from cookie.registry import Registry

if TYPE_CHECKING:
    from PIL.Image import Image

    from cookie.data.scene_graph import Scene
    from cookie.interfaces import IndexArray


class ImageSource(Protocol):
    """Images by index, decoded or drawn when asked for; safe to call from several threads."""

    def __len__(self) -> int: ...

    def load(self, index: int, size: int) -> Image:
        """Return image ``index`` as RGB, ``size`` pixels wide and high.

        Raises:
            DataError: the image is missing, broken, or absurdly large.
        """
        ...


@runtime_checkable
class Photographs(ImageSource, Protocol):
    """Images that have a shape of their own, which :meth:`load` squeezes."""

    def original(self, index: int) -> Image:
        """Return image ``index`` as RGB in its own shape.

        Raises:
            DataError: the image is missing, broken, or absurdly large.
        """
        ...


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        images: lazy source of the images, by index.
        image_names: (images,) a name each, unique in the split.
        captions: (captions,) as written, white space tidied.
        caption_image: (captions,) int64, the image index of each caption: ragged, never
            ``index // 5``; ascending.
        image_ids: (images,) int64 ids of the source (COCO's where it has them), or None.
        caption_ids: (captions,) int64 ids of the source, or None.
        scenes: (images,) what each image shows, for generated data; None for photographs.
    """

    images: ImageSource
    image_names: tuple[str, ...]
    captions: tuple[str, ...]
    caption_image: IndexArray
    image_ids: IndexArray | None = None
    caption_ids: IndexArray | None = None
    scenes: tuple[Scene, ...] | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.image_names)

    def facts(self) -> dict[str, Any]:
        """Return counts and the histogram {captions of an image: images}, ready for JSON."""
        per_image = np.bincount(self.caption_image, minlength=len(self))
        histogram = {str(count): n for count, n in sorted(Counter(per_image.tolist()).items())}
        captions = len(self.captions)
        return {"images": len(self), "captions": captions, "captions_per_image": histogram}


SPLITS = ("train", "val", "test")
"""What a data set may have; which of them it needs, the task at hand decides."""


@dataclass(frozen=True)
class RetrievalDataset:
    """A named data set.

    Attributes:
        name: as the command line knows it.
        sha256: 64 hex digits over captions, splits, and what identifies the images.
        splits: ``train``, ``val`` and ``test``; a data set may lack some, or have them empty.
    """

    name: str
    sha256: str
    splits: Mapping[str, Split]

    def split(self, name: str) -> Split:
        """Return split ``name``, which has images.

        Raises:
            DataError: the data set lacks it, or it is empty.
            UserError: no data set has such a split (the nearest name is suggested).
        """
        if name not in {*self.splits, *SPLITS}:
            raise unknown(f"split of {self.name}", name, self.splits)
        self.require(name)
        return self.splits[name]

    def require(self, *names: str) -> None:
        """Raise :class:`DataError` unless there are images in each of the splits ``names``.

        For what begins long before it comes to the last of them.
        """
        for name in names:
            if name not in self.filled:
                others = f"only {' and '.join(self.filled)}" if self.filled else "nor any others"
                raise DataError(
                    f"The data set '{self.name}' has no {name} images, {others}: add some as "
                    "docs/data.md tells, or choose another data set."
                )

    @property
    def filled(self) -> list[str]:
        """The names of the splits that have images."""
        return [name for name, split in self.splits.items() if len(split)]

    def facts(self) -> dict[str, Any]:
        """Return what a record states of the data: name, hash, and each split's counts."""
        splits = {name: split.facts() for name, split in self.splits.items()}
        return {"name": self.name, "sha256": self.sha256, "splits": splits}


DatasetLoader: TypeAlias = Callable[[Path, str], RetrievalDataset]
datasets: Registry[DatasetLoader] = Registry("dataset")
"""Loaders by name; each takes the data root and the preset's name (generated data has sizes)."""
DatasetGrower: TypeAlias = Callable[[str, float], RetrievalDataset]
growers: Registry[DatasetGrower] = Registry("data set that can be made larger")
"""By the name of a generated data set: takes the preset's name and how many times as many
training images there shall be; validation and test stay as they are."""


def build_split(
    images: ImageSource,
    names: list[str],
    captions: list[list[str]],
    *,
    image_ids: IndexArray | None = None,
    caption_ids: IndexArray | None = None,
    scenes: tuple[Scene, ...] | None = None,
) -> Split:
    """Assemble a split from each image's list of captions.

    Raises:
        DataError: a caption is empty or holds half a character, or an image has none.
    """
    for image_name, texts in zip(names, captions, strict=True):
        if not texts:
            raise DataError(f"Image '{image_name}' has no captions: add one or remove the image.")
        if not all(text.strip() for text in texts):
            raise DataError(f"Image '{image_name}' has an empty caption: fill or remove it.")
        if not is_text("".join(texts)):
            raise DataError(f"Image '{image_name}' has half a character in a caption: mend it.")
    flat = tuple(" ".join(text.split()) for texts in captions for text in texts)
    owners = np.repeat(np.arange(len(names)), [len(texts) for texts in captions])
    caption_image = owners.astype(np.int64)
    return Split(images, tuple(names), flat, caption_image, image_ids, caption_ids, scenes)
