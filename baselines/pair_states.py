"""What a pair scorer keeps of a corpus, computed once; and the plain loop that keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Never, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from cookie.batches import in_parts
from cookie.interfaces import (
    Corpus,
    ImageBatch,
    ImageState,
    IndexArray,
    PairScorer,
    TextBatch,
    TextState,
)
from cookie.training.precision import Precision, autocast

_Bar: TypeAlias = "tqdm[Never]"


class Prepared(NamedTuple):
    """A corpus as a pair scorer keeps it.

    Attributes:
        images: of all images, in their order.
        texts: of all captions, in their order, padded to the longest.
    """

    images: ImageState
    texts: TextState


@torch.inference_mode()
def prepare_corpus(
    scorer: PairScorer,
    corpus: Corpus,
    *,
    batch_size: int = 256,
    precision: Precision = "auto",
    progress: bool = True,
) -> Prepared:
    """Return what ``scorer`` keeps of every image and every caption of ``corpus``.

    The scorer is to be in evaluation mode. Captions are prepared shortest first, so that a batch
    has little padding.
    """
    total = corpus.image_count + len(corpus.captions)
    with tqdm(total=total, desc="prepare", unit="item", disable=not progress, leave=False) as bar:
        images = _prepare_images(scorer, corpus, batch_size, precision, bar)
        return Prepared(images, _prepare_texts(scorer, corpus, batch_size, precision, bar))


@torch.inference_mode()
def naive_scores(scorer: PairScorer, images: ImageBatch, texts: TextBatch) -> Tensor:
    """Return (I, C) float32 as the obvious loop does: one pair after the other, nothing kept.

    Both the oracle of the fast path and the second row of a table of speeds.
    """
    scores = [
        scorer.score_pairs(
            scorer.prepare_images(one_image(images, image)),
            scorer.prepare_texts(one_text(texts, caption)),
        )
        for image in range(len(images))
        for caption in range(len(texts))
    ]
    return torch.cat(scores).float().view(len(images), len(texts))


def one_image(images: ImageBatch, row: int) -> ImageBatch:
    """Return image ``row`` as a batch of its own."""
    return images.like(images.data[row : row + 1])


def one_text(texts: TextBatch, row: int) -> TextBatch:
    """Return caption ``row`` as a batch of its own, without padding."""
    return texts.at(slice(row, row + 1), int(texts.mask[row].sum()))


def _prepare_images(
    scorer: PairScorer, corpus: Corpus, batch_size: int, precision: Precision, bar: _Bar
) -> ImageState:
    parts = list[Tensor]()
    for rows in _cut(np.arange(corpus.image_count), batch_size):
        batch = corpus.images(rows)
        with autocast(batch.data.device, precision):
            parts.extend(scorer.prepare_images(part).tokens for part in in_parts(batch))
        bar.update(len(rows))
    return ImageState(torch.cat(parts))


def _prepare_texts(
    scorer: PairScorer, corpus: Corpus, batch_size: int, precision: Precision, bar: _Bar
) -> TextState:
    order = np.argsort([len(caption) for caption in corpus.captions], kind="stable")
    parts = []
    for rows in _cut(order, batch_size):
        batch = corpus.texts(rows)
        with autocast(batch.ids.device, precision):
            parts.append(scorer.prepare_texts(batch))
        bar.update(len(rows))
    return _gather(parts, order)


def _gather(parts: list[TextState], order: IndexArray) -> TextState:
    """Return the captions of all parts padded to the longest, row i of them at ``order[i]``."""
    longest = max(part.mask.shape[1] for part in parts)
    first = parts[0].tokens
    tokens = first.new_zeros(len(order), longest, first.shape[-1])
    mask = parts[0].mask.new_zeros(len(order), longest)
    start = 0
    for part in parts:
        rows = torch.from_numpy(order[start : start + len(part.mask)]).to(first.device)
        tokens[rows] = pad(part.tokens, (0, 0, 0, longest - part.mask.shape[1]))
        mask[rows] = pad(part.mask, (0, longest - part.mask.shape[1]))
        start += len(part.mask)
    return TextState(tokens, mask)


def _cut(rows: IndexArray, size: int) -> Iterator[IndexArray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
