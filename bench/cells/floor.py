"""The ridge floor: closed-form regression between what the encoders give before any training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from baselines.ridge import RidgeFloor, bag_of_words, raw_image_features
from bench.material.workshop import Workshop
from cookie.interfaces import Corpus, ImageBatch, TextBatch
from cookie.nn.encoders import build_text_encoder, build_visual_encoder
from cookie.retrieval import RetrievalMetrics, evaluate

BATCH = 256
ReadImages = Callable[[ImageBatch], Tensor]
ReadTexts = Callable[[TextBatch], Tensor]


def floor_metrics(workshop: Workshop) -> RetrievalMetrics:
    """Fit the floor on the training split and evaluate it on the test split.

    With pretrained encoders from their pooled tokens; from scratch, where untrained encoders
    know nothing, from the shrunk image itself and the words of the caption.
    """
    read_images, read_texts = _pretrained(workshop) if _has_weights(workshop) else _raw(workshop)
    train, test = (workshop.corpora()[name] for name in ("train", "test"))
    floor = RidgeFloor.fit(
        image_features(train, read_images), caption_features(train, read_texts), train.caption_image
    )
    images = floor.encode_images(image_features(test, read_images))
    captions = floor.encode_texts(caption_features(test, read_texts))
    return evaluate(images, captions, test.caption_image)


def _has_weights(workshop: Workshop) -> bool:
    config = workshop.config
    return config.vision.weights != "none" and config.text.weights != "none"


def _pretrained(workshop: Workshop) -> tuple[ReadImages, ReadTexts]:
    """Return readers that average the pretrained encoders' tokens; cached ones pass through."""
    vocabulary = workshop.tokenizer.vocabulary_size
    vision = build_visual_encoder(workshop.config.vision).to(workshop.device).eval()
    text = build_text_encoder(workshop.config.text, vocabulary).to(workshop.device).eval()

    def read_texts(texts: TextBatch) -> Tensor:
        weights = texts.mask[..., None].float()
        pooled: Tensor = (text(texts).float() * weights).sum(dim=1) / weights.sum(dim=1)
        return pooled

    return lambda images: vision(images).float().mean(dim=1), read_texts


def _raw(workshop: Workshop) -> tuple[ReadImages, ReadTexts]:
    """Return readers of pixels and words that need no encoder."""
    vocabulary = workshop.tokenizer.vocabulary_size
    return (
        lambda images: raw_image_features(images.data),
        lambda texts: bag_of_words(texts.ids, texts.mask, vocabulary),
    )


@torch.inference_mode()
def image_features(corpus: Corpus, read: ReadImages) -> Tensor:
    """Return (images, F) features of all images."""
    return torch.cat([read(corpus.images(rows)) for rows in _batches(corpus.image_count)])


@torch.inference_mode()
def caption_features(corpus: Corpus, read: ReadTexts) -> Tensor:
    """Return (captions, E) features of all captions."""
    return torch.cat([read(corpus.texts(rows)) for rows in _batches(len(corpus.captions))])


def _batches(count: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [np.arange(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]
