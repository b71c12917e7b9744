"""What models read of a split when images come as pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cookie.config import AugmentConfig
from cookie.data.augment import ImageAugment, delete_words, mask_words, other_captions
from cookie.data.dataset import Split
from cookie.data.lazy_pixels import LazyPixels, Pixels
from cookie.data.split_corpus import SplitCorpus
from cookie.data.tokenizer import Tokenizer
from cookie.interfaces import ImageBatch, IndexArray, TextBatch, TextView

RESIDENT_SHARE = 0.5
"""Of the free memory of a CUDA device that pixels may fill to stay there."""


class CaptionTokens:
    """A split's captions as token ids on a device, with their augmentation.

    Args:
        captions: (captions,) strings.
        tokenizer: cuts them.
        max_tokens: longest caption, [CLS] and [SEP] included.
        augment: says how many words a view masks or deletes.
        device: where batches are wanted.
    """

    def __init__(
        self,
        captions: Sequence[str],
        tokenizer: Tokenizer,
        max_tokens: int,
        augment: AugmentConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        self.captions = captions
        ids, mask = tokenizer.encode(captions, max_tokens)
        self._lengths: IndexArray = mask.sum(dim=1).numpy()  # stays on the host: no sync later
        self._ids, self._mask = ids.to(device), mask.to(device)
        self._tokenizer, self._rate = tokenizer, augment.text_rate

    def batch(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return the captions at ``indices`` (B,); see :class:`cookie.interfaces.Corpus`."""
        ids, mask = self._read(indices)
        if generator is None or view in ("dropout", "caption"):
            return TextBatch(ids, mask)
        if view == "mask":
            mask_id = self._tokenizer.mask_id
            return TextBatch(mask_words(ids, mask, self._rate, mask_id, generator), mask)
        pad_id = self._tokenizer.pad_id
        return TextBatch(*delete_words(ids, mask, self._rate, pad_id, generator))

    def _read(self, indices: IndexArray) -> tuple[Tensor, Tensor]:
        """Return ids and mask (B, L), padded to the longest of the captions."""
        longest = int(self._lengths[indices].max(initial=2))
        rows = torch.from_numpy(np.ascontiguousarray(indices)).to(self._ids.device)
        return self._ids[rows, :longest], self._mask[rows, :longest]


class LazyCaptionTokens(CaptionTokens):
    """The same for millions of captions, which are cut into words when a batch asks for them.

    Ids of all of them, padded, would take several times the memory of their letters.
    """

    def __init__(
        self,
        captions: Sequence[str],
        tokenizer: Tokenizer,
        max_tokens: int,
        augment: AugmentConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        self.captions = captions
        self._tokenizer, self._rate = tokenizer, augment.text_rate
        self._max_tokens, self._device = max_tokens, device

    def _read(self, indices: IndexArray) -> tuple[Tensor, Tensor]:
        captions = [self.captions[index] for index in indices.tolist()]
        ids, mask = self._tokenizer.encode(captions, self._max_tokens)
        return ids.to(self._device, non_blocking=True), mask.to(self._device, non_blocking=True)


class PixelCorpus(SplitCorpus):
    """A split as :class:`cookie.interfaces.Corpus`: pixels and token ids.

    On a CUDA device with room for them, all pixels stay there as uint8.

    Args:
        split: gives captions and ground truth.
        pixels: (images, 3, S, S) uint8, as :func:`cookie.data.lazy_pixels.split_pixels` gives
            them; where they are decoded in batch, captions are cut into words in batch too.
        tokenizer: cuts the captions.
        max_tokens: longest caption, [CLS] and [SEP] included.
        augment: strengths of the random views.
        device: where batches are wanted.
    """

    def __init__(
        self,
        split: Split,
        pixels: Pixels,
        tokenizer: Tokenizer,
        *,
        max_tokens: int,
        augment: AugmentConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        if len(pixels) != len(split):
            raise ValueError(f"{len(pixels)} images in the pixels, {len(split)} in the split")
        super().__init__(split, device)
        self._pixels = pixels
        self._augment = ImageAugment(augment)
        kind = LazyCaptionTokens if isinstance(pixels, LazyPixels) else CaptionTokens
        self._tokens = kind(split.captions, tokenizer, max_tokens, augment, device)
        self._resident = _upload(pixels, self._device)

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return the images at ``indices`` (B,): uint8, or augmented floats with ``generator``."""
        if self._resident is None:
            pixels = torch.from_numpy(self._pixels[indices]).to(self._device, non_blocking=True)
        else:
            pixels = self._resident[torch.from_numpy(indices).to(self._device)]
        return ImageBatch(pixels if generator is None else self._augment(pixels, generator))

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return the captions at ``indices`` (B,), as written or as an augmented ``view``."""
        if view == "caption" and generator is not None:
            indices = other_captions(indices, self.caption_image, generator)
        return self._tokens.batch(indices, generator, view)


def _upload(pixels: Pixels, device: torch.device, rows: int = 1024) -> torch.Tensor | None:
    """Return all pixels on a CUDA device where they fit, else None; the host holds no copy."""
    if device.type != "cuda" or pixels.nbytes > RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
        return None
    resident = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(pixels), rows):
        resident[start : start + rows] = torch.from_numpy(pixels[start : start + rows].copy())
    return resident
