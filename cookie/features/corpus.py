"""What models read of a split when frozen encoders have read it before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cookie.data.augment import other_captions
from cookie.data.dataset import Split
from cookie.data.split_corpus import SplitCorpus
from cookie.interfaces import ImageBatch, IndexArray, TextBatch, TextView

HalfArray: TypeAlias = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class CaptionStates:
    """Encoder states of captions, stored without padding.

    Attributes:
        tokens: (T, C) float16, the states of all real tokens, caption after caption.
        ids: (T,) int32 token ids.
        starts: (captions,) first row of each caption.
        lengths: (captions,) number of its rows.
    """

    tokens: HalfArray
    ids: NDArray[np.int32]
    starts: IndexArray
    lengths: IndexArray

    def gather(self, indices: IndexArray, longest: int) -> tuple[NDArray[np.int64], HalfArray]:
        """Return ids (B, longest) and tokens (B, longest, C), zero behind each caption's end."""
        lengths = self.lengths[indices]
        inside = np.arange(longest) < lengths[:, None]
        rows = (self.starts[indices][:, None] + np.arange(longest))[inside]
        ids = np.zeros(inside.shape, np.int64)
        tokens = np.zeros((*inside.shape, self.tokens.shape[1]), np.float16)
        ids[inside], tokens[inside] = self.ids[rows], self.tokens[rows]
        return ids, tokens


class FeatureCorpus(SplitCorpus):
    """A split as :class:`cookie.interfaces.Corpus`: cached grids and caption states.

    With a generator an image is one of its cached versions, drawn at random, and a caption one of
    its cached views; a split without cached views gives what it has.

    Args:
        split: gives captions and ground truth.
        grids: versions of all images, (images, N, C) each; the first is as evaluation wants it.
        clean: states of the captions as written.
        views: states of augmented captions, by the way they were made; two or more of each.
        device: where batches are wanted.
    """

    def __init__(
        self,
        split: Split,
        grids: Sequence[HalfArray],
        clean: CaptionStates,
        views: Mapping[TextView, Sequence[CaptionStates]],
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(split, device)
        self._grids, self._clean, self._views = grids, clean, views

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return grids (B, N, C) float16 of the images at ``indices`` (B,)."""
        versions = _choose(len(indices), len(self._grids), generator)
        grids = np.empty((len(indices), *self._grids[0].shape[1:]), np.float16)
        for version in np.unique(versions):
            rows = versions == version
            grids[rows] = self._grids[version][indices[rows]]
        return ImageBatch(tokens=self._send(grids))

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return states (B, L, C) float16, ids and mask of the captions at ``indices`` (B,)."""
        stored: Sequence[CaptionStates] = (self._clean,)
        if generator is not None and view == "caption":
            indices = other_captions(indices, self.caption_image, generator)
        elif generator is not None and view != "dropout":
            stored = self._views.get(view, ())
        if not stored:
            raise ValueError(f"no '{view}' views of the captions are cached for this split")
        versions = _choose(len(indices), len(stored), generator)
        return self._pad(indices, versions, stored)

    def _pad(
        self, indices: IndexArray, versions: IndexArray, stored: Sequence[CaptionStates]
    ) -> TextBatch:
        lengths = np.empty(len(indices), np.int64)
        groups = [(version, versions == version) for version in np.unique(versions)]
        for version, rows in groups:
            lengths[rows] = stored[version].lengths[indices[rows]]
        longest = int(lengths.max(initial=2))
        ids = np.zeros((len(indices), longest), np.int64)
        tokens = np.zeros((*ids.shape, self._clean.tokens.shape[1]), np.float16)
        for version, rows in groups:
            ids[rows], tokens[rows] = stored[version].gather(indices[rows], longest)
        mask = np.arange(longest) < lengths[:, None]
        return TextBatch(self._send(ids), self._send(mask), self._send(tokens))

    def _send(self, array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._device.type != "cuda":
            return tensor
        return tensor.pin_memory().to(self._device, non_blocking=True)


def _choose(count: int, versions: int, generator: torch.Generator | None) -> IndexArray:
    """Return (count,) versions: 0 without a generator, else uniform."""
    if generator is None or versions == 1:
        return np.zeros(count, np.int64)
    drawn = torch.randint(versions, (count,), generator=generator, device=generator.device)
    chosen: IndexArray = drawn.cpu().numpy()
    return chosen
