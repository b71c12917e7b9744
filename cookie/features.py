"""Corpora for every regime: pixels, or what frozen encoders made of them, computed once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cookie.config import Config
from cookie.data.augment import ImageAugment
from cookie.data.corpus import CaptionTokens, PixelCorpus
from cookie.data.dataset import RetrievalDataset
from cookie.data.pixels import broken_images, open_pixels
from cookie.data.tokenizer import Tokenizer
from cookie.data.without import WithoutImages
from cookie.feature_cache import (
    PixelReader,
    caption_states,
    frozen_grid,
    frozen_states,
    image_features,
    settings_digest,
    weights_digest,
)
from cookie.feature_corpus import CaptionStates, FeatureCorpus, HalfArray
from cookie.files import home
from cookie.interfaces import Corpus, IndexArray, TextBatch, TextView
from cookie.nn.encoders import (
    TextEncoder,
    VisualEncoder,
    build_text_encoder,
    build_visual_encoder,
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


def build_corpora(
    dataset: RetrievalDataset,
    config: Config,
    tokenizer: Tokenizer,
    *,
    device: torch.device | str,
    cache_dir: Path | None = None,
    text_layers: int | None = None,
    encoders: Encoders | None = None,
) -> dict[str, Corpus]:
    """Return a corpus for every split of ``dataset``.

    In the regime ``frozen``, with pretrained encoders, a corpus holds encoder output, computed on
    the first call and kept under ``cache_dir``; otherwise pixels and token ids.

    Args:
        dataset: any.
        config: says regime, encoders, augmentation.
        tokenizer: of the captions.
        device: where batches are wanted, and where encoders run.
        cache_dir: default ``cache`` in :func:`cookie.files.home`.
        text_layers: depth of the cached caption states; None is the whole text encoder.
        encoders: to be used in place of those that ``config`` describes.

    Raises:
        UserError: weights are missing, or the disk has too little room.
        DataError: more training images are unreadable than ``train.broken_images``, or any other.
    """
    cache_dir = home() / "cache" if cache_dir is None else cache_dir
    device = torch.device(device)
    made = _whole_corpora(dataset, config, tokenizer, device, cache_dir, text_layers, encoders)
    if _TRAIN in made and (broken := _broken(dataset, config, cache_dir)):
        made[_TRAIN] = WithoutImages(made[_TRAIN], broken)
    return made


def _broken(dataset: RetrievalDataset, config: Config, cache_dir: Path) -> list[int]:
    """Return the unreadable training images; more than may be are an error, cached or not."""
    size, allowed = config.vision.image_size, config.train.broken_images
    if allowed:  # cached features may have outlived the pixels, and with them the list
        open_pixels(dataset, _TRAIN, size, cache_dir, allowed)
    return broken_images(dataset, _TRAIN, size, cache_dir, allowed)


def _whole_corpora(
    dataset: RetrievalDataset,
    config: Config,
    tokenizer: Tokenizer,
    device: torch.device,
    cache_dir: Path,
    text_layers: int | None,
    encoders: Encoders | None,
) -> dict[str, Corpus]:
    if config.regime != "frozen" or (encoders is None and not _pretrained(config)):
        return {
            name: _pixel_corpus(dataset, name, config, tokenizer, device, cache_dir)
            for name in dataset.splits
        }
    encoders = encoders or Encoders(
        build_visual_encoder(config.vision),
        build_text_encoder(config.text, tokenizer.vocabulary_size),
    )
    builder = _Builder(dataset, config, tokenizer, device, cache_dir, text_layers, encoders)
    return {name: builder.corpus(name) for name in dataset.splits}


def _pretrained(config: Config) -> bool:
    """Random encoders differ from model to model, so nothing of theirs can be shared."""
    return config.vision.weights != "none" and config.text.weights != "none"


def _pixel_corpus(
    dataset: RetrievalDataset,
    name: str,
    config: Config,
    tokenizer: Tokenizer,
    device: torch.device,
    cache_dir: Path,
) -> PixelCorpus:
    return PixelCorpus(
        dataset.split(name),
        open_pixels(dataset, name, config.vision.image_size, cache_dir, _allowed(name, config)),
        tokenizer,
        max_tokens=config.text.max_tokens,
        augment=config.augment,
        device=device,
    )


def _allowed(split: str, config: Config) -> int:
    """Return how many images may be unreadable: none where results come from."""
    return config.train.broken_images if split == _TRAIN else 0


class _Builder:
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
        opened: list[NDArray[np.uint8]] = []

        def read(indices: IndexArray) -> Tensor:
            if not opened:  # the photographs are decoded only if a file is missing
                opened.append(
                    open_pixels(
                        self.dataset,
                        name,
                        self.config.vision.image_size,
                        self.cache_dir,
                        _allowed(name, self.config),
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
        return caption_states(path, self.encode_texts, texts, self.encoders.text.width, label)

    def path(self, split: str, kind: str, weights: str, settings: str) -> Path:
        """Return the file of one kind: named by data, weights and settings."""
        stem = f"{self.dataset.name}-{self.dataset.sha256[:12]}-{split}"
        return self.cache_dir / "features" / f"{stem}-{kind}-{weights}-{settings}.npy"
