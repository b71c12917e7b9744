"""What frozen encoders make of a data set, in files that are named by all it depends on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cookie.config import Config
from cookie.data.augment import ImageAugment
from cookie.data.corpus import CaptionTokens
from cookie.data.dataset import RetrievalDataset
from cookie.data.lazy_pixels import Pixels, split_pixels
from cookie.data.tokenizer import Tokenizer
from cookie.features.cache import (
    PixelReader,
    caption_states,
    frozen_grid,
    frozen_states,
    image_features,
    settings_digest,
    weights_digest,
)
from cookie.features.corpus import CaptionStates, FeatureCorpus, HalfArray
from cookie.interfaces import IndexArray, TextBatch, TextView
from cookie.nn.encoders import (
    TextEncoder,
    VisualEncoder,
)
from cookie.training.order import step_generator

VERSION = 1
"""To be raised whenever a change here changes what is cached."""
AUGMENT_ROWS = 8
"""Images augmented together, whichever device follows, so that their views are the same on all."""
_TRAIN = "train"
_VIEW_SEED = 20_210_817
"""Cached views do not depend on a run's seed, so that all runs share them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Encoders:
    """The frozen encoders whose output is cached."""

    image: VisualEncoder
    text: TextEncoder


def allowed_broken(split: str, config: Config) -> int:
    """Return how many images may be unreadable: none where results come from."""
    return config.train.broken_images if split == _TRAIN else 0


class FeatureBuilder:
    """Knows names and contents of the cached files of one data set and one pair of encoders."""

    def __init__(
        self,
        dataset: RetrievalDataset,
        config: Config,
        tokenizer: Tokenizer,
        device: torch.device,
        cache_dir: Path,
        text_layers: int | None,
        encoders: Encoders,
    ) -> None:
        self.dataset, self.config, self.tokenizer = dataset, config, tokenizer
        self.device, self.cache_dir, self.text_layers = device, cache_dir, text_layers
        self.encoders = encoders
        self.image_digest = weights_digest(encoders.image)
        self.text_digest = weights_digest(encoders.text)
        self.encode_images = frozen_grid(encoders.image, device)
        self.encode_texts = frozen_states(encoders.text, text_layers, device)

    def corpus(self, name: str) -> FeatureCorpus:
        """Return the split's corpus; only the training split has augmented views."""
        count = self.config.augment.views if name == _TRAIN else 0
        grids = [self.grids(name, version) for version in range(1 + count)]
        tokens = self.caption_tokens(name)
        clean = self.states(name, tokens, None, 0)
        views: dict[TextView, list[CaptionStates]] = {}
        if count:
            for view in self.views():
                views[view] = [self.states(name, tokens, view, i) for i in range(count)]
        return FeatureCorpus(self.dataset.split(name), grids, clean, views, self.device)

    def views(self) -> list[TextView]:
        """Masked captions always (the masked language model wants them), others if asked for."""
        wanted: list[TextView] = ["mask"]
        if self.config.augment.text == "delete":
            wanted.append("delete")
        return wanted

    def caption_tokens(self, name: str) -> CaptionTokens:
        """Return the split's token ids, on the host."""
        captions = self.dataset.split(name).captions
        text = self.config.text
        return CaptionTokens(captions, self.tokenizer, text.max_tokens, self.config.augment)

    def grids(self, name: str, version: int) -> HalfArray:
        """Return the grid tokens of the images: version 0 is clean, the others are augmented."""
        split = self.dataset.split(name)
        made = self.config.augment
        augment = [made.crop_scale, made.color, made.flip] if version else None
        vision = dataclasses.asdict(self.config.vision)
        path = self.path(
            name, f"grid{version}", self.image_digest, settings_digest(VERSION, vision, augment)
        )
        shape = (len(split), self.encoders.image.tokens, self.encoders.image.width)
        label = f"{self.dataset.name} {name} images, version {version}"
        return image_features(path, self.encode_images, self.reader(name, version), shape, label)

    def reader(self, name: str, version: int) -> PixelReader:
        """Return a function from indices to pixels, augmented for versions above 0."""
        augment = ImageAugment(self.config.augment)
        opened: list[Pixels] = []

        def read(indices: IndexArray) -> Tensor:
            if not opened:  # the photographs are decoded only if a file is missing
                opened.append(
                    split_pixels(
                        self.dataset,
                        name,
                        self.config.vision.image_size,
                        self.cache_dir,
                        allowed_broken(name, self.config),
                    )
                )
            pixels = torch.from_numpy(opened[0][indices])
            if version == 0:
                return pixels
            parts = torch.split(pixels, AUGMENT_ROWS)
            starts = indices[::AUGMENT_ROWS].tolist()
            generators = [step_generator(_VIEW_SEED, start, version) for start in starts]
            return torch.cat([augment(*pair) for pair in zip(parts, generators, strict=True)])

        return read

    def states(
        self, name: str, tokens: CaptionTokens, view: TextView | None, version: int
    ) -> CaptionStates:
        """Return the caption states as written (``view`` None), or of one augmented version."""
        text = dataclasses.asdict(self.config.text)
        made = [view, self.config.augment.text_rate] if view else None
        settings = settings_digest(VERSION, text, self.tokenizer.digest, self.text_layers, made)
        kind = f"{view}{version}" if view else "captions"
        everything = np.arange(len(tokens.captions))

        def texts() -> TextBatch:
            generator = step_generator(_VIEW_SEED, 0, version) if view else None
            return tokens.batch(everything, generator, view or "mask")

        path = self.path(name, kind, self.text_digest, settings)
        label = f"{self.dataset.name} {name} {kind}"
        shape = (len(everything), self.encoders.text.width)
        return caption_states(path, self.encode_texts, texts, shape, label)

    def path(self, split: str, kind: str, weights: str, settings: str) -> Path:
        """Return the file of one kind: named by data, weights and settings."""
        stem = f"{self.dataset.name}-{self.dataset.sha256[:12]}-{split}"
        return self.cache_dir / "features" / f"{stem}-{kind}-{weights}-{settings}.npy"
