"""CLIPs of open_clip with random weights, and pairs that both training loops can learn."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cookie.batches import ImageBatch, IndexArray, TextBatch, TextView

SMALL = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 128, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 2000, "width": 128, "heads": 4, "layers": 2},
}
"""A CLIP that a step of takes milliseconds."""


def small_clip() -> nn.Module:
    """Return a small CLIP with random weights, the same every time."""
    import open_clip  # type: ignore[import-untyped]

    torch.manual_seed(0)
    model: nn.Module = open_clip.CLIP(**copy.deepcopy(SMALL), output_dict=True)
    return model


def base_clip() -> nn.Module:
    """Return CLIP ViT-B/32 with random weights, the same every time."""
    import open_clip

    torch.manual_seed(0)
    model: nn.Module = open_clip.create_model("ViT-B-32", load_weights=False, output_dict=True)
    return model


class Pairs:
    """Random images and captions about as long as those of Flickr8k, on a device.

    A :class:`cookie.interfaces.Corpus` for the one loop; :meth:`batches` serves the other.

    Args:
        model: says how large images are and which ids there are.
        count: of the pairs.
        device: of everything.
    """

    def __init__(self, model: Any, count: int, device: str) -> None:  # noqa: ANN401 -- untyped
        generator = torch.Generator().manual_seed(1)
        height, width = model.visual.image_size
        self.pixels = torch.rand(count, 3, height, width, generator=generator).to(device)
        lengths = np.random.default_rng(0).normal(13.5, 4, count).round().clip(6, 30)
        self.ids = self._ids(model, torch.from_numpy(lengths).long(), generator).to(device)
        self.mask = self.ids != 0
        self.caption_image: IndexArray = np.arange(count)
        self.image_count = count
        self.captions: Sequence[str] = ("",) * count

    @staticmethod
    def _ids(model: Any, lengths: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ANN401
        """Return words, then the end, which has the highest id, then padding."""
        shape = len(lengths), model.context_length
        end, places = model.vocab_size - 1, torch.arange(shape[1])
        words = torch.randint(1, end, shape, generator=generator)
        ids = words * (places < lengths[:, None])
        return ids.masked_fill(places == lengths[:, None], end)

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return the images at ``indices``."""
        return ImageBatch(self.pixels[self._rows(indices)])

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return the captions at ``indices``, all columns."""
        rows = self._rows(indices)
        return TextBatch(self.ids[rows], self.mask[rows])

    def batches(self, order: Sequence[IndexArray]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and ids as open_clip's loaders do."""
        for indices in order:
            rows = self._rows(indices)
            yield self.pixels[rows], self.ids[rows]

    def _rows(self, indices: IndexArray) -> Tensor:
        return torch.from_numpy(indices).to(self.pixels.device)
