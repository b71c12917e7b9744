"""What every corpus over a split is asked for besides batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cookie.data.dataset import Split
from cookie.interfaces import IndexArray


class SplitCorpus:
    """The part of a :class:`cookie.interfaces.Corpus` that a split answers by itself.

    Args:
        split: gives captions and ground truth.
        device: where batches are wanted.
    """

    def __init__(self, split: Split, device: torch.device | str) -> None:
        self._split, self._device = split, torch.device(device)

    @property
    def caption_image(self) -> IndexArray:
        """(captions,) the image index of each caption."""
        return self._split.caption_image

    @property
    def image_count(self) -> int:
        """Number of images."""
        return len(self._split)

    @property
    def captions(self) -> Sequence[str]:
        """The captions as written."""
        return self._split.captions
