"""Corpora for every regime: pixels, or what frozen encoders made of them, computed once."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from cookie.config import Config
from cookie.data.corpus import PixelCorpus
from cookie.data.dataset import RetrievalDataset
from cookie.data.lazy_pixels import split_pixels, unkept
from cookie.data.pixels import Broken, broken_images, open_pixels
from cookie.data.tokenizer import Tokenizer
from cookie.data.without import WithoutImages
from cookie.errors import DataError
from cookie.features.builder import Encoders, FeatureBuilder, allowed_broken
from cookie.files import home
from cookie.interfaces import Corpus
from cookie.nn.encoders import (
    build_text_encoder,
    build_visual_encoder,
)

__all__ = ["Encoders", "build_corpora"]
_LOG = logging.getLogger("cookie.data")
_TRAIN = "train"


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
    """Return a corpus for every split of ``dataset`` that has images.

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
    _count_faults(dataset, config)
    made = _whole_corpora(dataset, config, tokenizer, device, cache_dir, text_layers, encoders)
    if _TRAIN in made and (broken := _broken(dataset, config, cache_dir)):
        told = "%d of %d training images of %s cannot be read: trained without them."
        _LOG.warning(told, len(broken), made[_TRAIN].image_count, dataset.name)
        made[_TRAIN] = WithoutImages(made[_TRAIN], broken)
    return made


def _broken(dataset: RetrievalDataset, config: Config, cache_dir: Path) -> list[int]:
    """Return the unreadable training images; more than may be are an error, cached or not."""
    size, allowed = config.vision.image_size, config.train.broken_images
    if images := unkept(dataset, _TRAIN, size):
        return list(images.faults)
    if allowed:  # cached features may have outlived the pixels, and with them the list
        open_pixels(dataset, _TRAIN, size, cache_dir, allowed)
    return broken_images(dataset, _TRAIN, size, cache_dir, allowed)


def _count_faults(dataset: RetrievalDataset, config: Config) -> None:
    """Name the samples that are known to be unusable, before anything is made of the others."""
    images = unkept(dataset, _TRAIN, config.vision.image_size) if _TRAIN in dataset.filled else None
    found = Broken(config.train.broken_images)
    for index, fault in images.faults.items() if images else ():
        found.add(index, DataError(fault))


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
            for name in dataset.filled
        }
    encoders = encoders or Encoders(
        build_visual_encoder(config.vision),
        build_text_encoder(config.text, tokenizer.vocabulary_size),
    )
    builder = FeatureBuilder(dataset, config, tokenizer, device, cache_dir, text_layers, encoders)
    return {name: builder.corpus(name) for name in dataset.filled}


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
        split_pixels(
            dataset, name, config.vision.image_size, cache_dir, allowed_broken(name, config)
        ),
        tokenizer,
        max_tokens=config.text.max_tokens,
        augment=config.augment,
        device=device,
    )
