"""A data set's split as a model of others reads it: with its own transform and tokenizer."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from baselines.pretrained.bundle import Bundle
from cookie.data.dataset import Photographs, Split
from cookie.data.split_corpus import SplitCorpus
from cookie.interfaces import ImageBatch, IndexArray, TextBatch, TextView


class BundleCorpus(SplitCorpus):
    """A :class:`cookie.interfaces.Corpus` for evaluation; pictures are decoded when asked for.

    Photographs reach the transform in their own shape, so that it crops and resizes as it did
    when the model was trained; generated pictures are drawn in the model's size.

    Args:
        split: gives pictures, captions and ground truth.
        bundle: gives transform and tokenizer.
        device: where batches are wanted.
    """

    def __init__(self, split: Split, bundle: Bundle[Any], device: torch.device | str) -> None:
        super().__init__(split, device)
        self._bundle = bundle

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return the images at ``indices`` (B,).

        Raises:
            DataError: one is broken.
            ValueError: ``generator`` is given; nothing is augmented here.
        """
        _refuse(generator)
        pictures = [self._picture(index) for index in indices.tolist()]
        return self._bundle.images(pictures).to(self._device)

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return the captions at ``indices`` (B,), as written.

        Raises:
            ValueError: ``generator`` is given; nothing is augmented here.
        """
        _refuse(generator)
        return self._bundle.texts([self.captions[index] for index in indices]).to(self._device)

    def _picture(self, index: int) -> Image.Image:
        source = self._split.images
        if isinstance(source, Photographs):
            return source.original(index)
        return source.load(index, self._bundle.image_size)


def _refuse(generator: torch.Generator | None) -> None:
    if generator is not None:
        raise ValueError("a model of others is evaluated here, not trained")
