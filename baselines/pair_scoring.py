"""Scores of many (image, caption) pairs, fast and exact, for any ``PairScorer``.

What depends on one modality is computed once (:mod:`baselines.pair_states`). The pairs are then
taken in the order of their captions' lengths and cut into batches that hold a fixed number of
tokens, so that next to nothing is spent on padding and every batch fills the hardware alike.
Scores equal those of the plain loop :func:`baselines.pair_states.naive_scores` up to rounding.
A batch that does not fit the memory is halved, and so are those that follow.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from cookie.interfaces import ImageState, IndexArray, PairScorer, TextState
from cookie.shortage import is_shortage, tell_halved
from cookie.training.precision import Precision, autocast

Direction = Literal["t2i", "i2t"]

TOKENS_ON_CPU = 8_192
"""Image and caption tokens in a batch: the rate is flat from 2 to 8 thousand on a CPU."""
TOKENS_ON_GPU = 524_288
"""As above, for a GPU: enough to fill it."""


class _Block(NamedTuple):
    """Pairs that are scored at once: rows of the prepared states, and where the scores go."""

    image_rows: Tensor
    caption_rows: Tensor
    places: Tensor
    length: int


def score_matrix(
    scorer: PairScorer,
    images: ImageState,
    texts: TextState,
    *,
    image_indices: IndexArray | None = None,
    caption_indices: IndexArray | None = None,
    token_budget: int | None = None,
    precision: Precision = "auto",
    progress: bool = False,
) -> Tensor:
    """Return (I, C) float32: the score of every chosen image with every chosen caption.

    Args:
        scorer: its ``prepare_*`` made the states.
        images: of the gallery.
        texts: of the captions.
        image_indices: (I,) rows of ``images``; all of them by default.
        caption_indices: (C,) rows of ``texts``; all of them by default.
        token_budget: tokens in a batch of pairs; by default what suits the device.
        precision: of the joint layers; ``float32`` for the same scores as the plain loop.
        progress: show the rate and the time left.
    """
    device = images.tokens.device
    rows = _rows(image_indices, len(images.tokens), device)
    columns = _rows(caption_indices, len(texts.tokens), device)
    lengths = texts.mask[columns].sum(dim=1).cpu().numpy()
    order = np.argsort(lengths, kind="stable")
    columns, places = (
        columns[torch.from_numpy(order).to(device)],
        torch.from_numpy(order).to(device),
    )

    def block(start: int, stop: int) -> _Block:
        pair = torch.arange(start, stop, device=device)
        caption, image = pair // len(rows), pair % len(rows)
        length = int(lengths[order[(stop - 1) // len(rows)]])
        return _Block(rows[image], columns[caption], image * len(columns) + places[caption], length)

    cuts = _plan(lengths[order], len(rows), _per_pair(images), _budget(token_budget, device))
    blocks = (block(start, stop) for start, stop in cuts)
    total = len(rows) * len(columns)
    scores = _score(scorer, images, texts, blocks, total, precision, progress)
    return scores.view(len(rows), len(columns))


def score_rows(
    scorer: PairScorer,
    images: ImageState,
    texts: TextState,
    queries: IndexArray,
    direction: Direction,
    *,
    token_budget: int | None = None,
    precision: Precision = "auto",
    progress: bool = False,
) -> Tensor:
    """Return (Q, G) float32: a sample of queries against the full gallery.

    Args:
        scorer: its ``prepare_*`` made the states.
        images: all images.
        texts: all captions.
        queries: (Q,) captions for ``t2i``, where the gallery is all images; images for ``i2t``.
        direction: ``t2i`` or ``i2t``.
        token_budget: see :func:`score_matrix`.
        precision: of the joint layers.
        progress: show the rate and the time left.
    """
    by_caption = direction == "t2i"
    scores = score_matrix(
        scorer,
        images,
        texts,
        image_indices=None if by_caption else queries,
        caption_indices=queries if by_caption else None,
        token_budget=token_budget,
        precision=precision,
        progress=progress,
    )
    return scores.T if by_caption else scores


def score_list(
    scorer: PairScorer,
    images: ImageState,
    texts: TextState,
    image_rows: IndexArray,
    caption_rows: IndexArray,
    *,
    token_budget: int | None = None,
    precision: Precision = "auto",
    progress: bool = False,
) -> Tensor:
    """Return (P,) float32: the score of any list of pairs, given by rows of the states."""
    device = images.tokens.device
    lengths = texts.mask.sum(dim=1).cpu().numpy()[caption_rows]
    order = np.argsort(lengths, kind="stable")
    cuts = _plan(lengths[order], 1, _per_pair(images), _budget(token_budget, device))

    def block(start: int, stop: int) -> _Block:
        chosen = order[start:stop]
        image, caption, place = (
            torch.from_numpy(part).to(device, non_blocking=True)
            for part in (image_rows[chosen], caption_rows[chosen], chosen)
        )
        return _Block(image, caption, place, int(lengths[order[stop - 1]]))

    blocks = (block(start, stop) for start, stop in cuts)
    return _score(scorer, images, texts, blocks, len(order), precision, progress)


@torch.inference_mode()
def _score(
    scorer: PairScorer,
    images: ImageState,
    texts: TextState,
    blocks: Iterable[_Block],
    total: int,
    precision: Precision,
    progress: bool,
) -> Tensor:
    """Return (total,) scores; every place is filled by one block."""
    device = images.tokens.device
    scores = torch.empty(total, device=device)
    bar = tqdm(total=total, desc="score", unit="pair", unit_scale=True, disable=not progress)

    def fill(block: _Block) -> None:
        captions = TextState(
            texts.tokens[block.caption_rows, : block.length],
            texts.mask[block.caption_rows, : block.length],
        )
        chosen = ImageState(images.tokens[block.image_rows])
        scores[block.places] = scorer.score_pairs(chosen, captions).float()
        bar.update(len(block.places))

    with bar, autocast(device, precision):
        _fill_all(fill, blocks, texts.mask)
    return scores


def _fill_all(fill: Callable[[_Block], None], blocks: Iterable[_Block], mask: Tensor) -> None:
    """Fill all blocks; after one that does not fit the memory, in parts of half its pairs."""
    most = sys.maxsize
    for block in blocks:
        done = 0
        while done < len(block.places):
            part = _cut(block, done, most, mask)
            if _fits(fill, part):
                done += len(part.places)
            else:
                most = tell_halved(len(part.places), "pairs")


def _fits(fill: Callable[[_Block], None], part: _Block) -> bool:
    """Fill a part; return False where the memory does not suffice for it and it can be halved."""
    try:
        fill(part)
    except (RuntimeError, MemoryError) as error:
        if len(part.places) == 1 or not is_shortage(error):
            raise
        return False
    return True


def _cut(block: _Block, start: int, most: int, mask: Tensor) -> _Block:
    """Return at most ``most`` pairs of a block from ``start`` on, cut to their longest caption."""
    if start == 0 and len(block.places) <= most:
        return block
    rows = slice(start, start + most)
    captions = block.caption_rows[rows]
    length = int(mask[captions].sum(dim=1).max())
    return _Block(block.image_rows[rows], captions, block.places[rows], length)


def _plan(
    lengths: IndexArray, repeat: int, per_pair: int, budget: int
) -> Iterator[tuple[int, int]]:
    """Yield start and stop of batches of at most ``budget`` tokens, and at least one pair.

    Args:
        lengths: ascending lengths of captions, each standing for ``repeat`` pairs in a row.
        repeat: pairs of a caption.
        per_pair: image tokens of a pair.
        budget: most tokens of a batch, padding included.
    """
    start, total = 0, len(lengths) * repeat
    while start < total:
        guess = min(total, start + max(1, budget // (per_pair + int(lengths[start // repeat]))))
        longest = int(lengths[(guess - 1) // repeat])
        stop = min(guess, start + max(1, budget // (per_pair + longest)))
        yield start, stop
        start = stop


def _budget(tokens: int | None, device: torch.device) -> int:
    if tokens is not None:
        return tokens
    return TOKENS_ON_GPU if device.type == "cuda" else TOKENS_ON_CPU


def _per_pair(images: ImageState) -> int:
    return images.tokens.shape[1]


def _rows(indices: IndexArray | None, count: int, device: torch.device) -> Tensor:
    if indices is None:
        return torch.arange(count, device=device)
    return torch.from_numpy(np.asarray(indices, dtype=np.int64)).to(device)
