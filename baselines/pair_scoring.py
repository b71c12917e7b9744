"""Scores of many (image, caption) pairs, fast and exact, for any ``PairScorer``.

What depends on one modality is computed once (:mod:`baselines.pair_states`). The pairs are then
taken in the order of their captions' lengths and cut into batches that hold a fixed number of
tokens, so that next to nothing is spent on padding and every batch fills the hardware alike.
Scores equal those of the plain loop :func:`baselines.pair_states.naive_scores` up to rounding.
A batch that does not fit the memory is halved, and so are those that follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from baselines.pair_blocks import Block, Halving
from baselines.score_shards import ScoreShards, Span, digest, grouped
from cookie.interfaces import ImageState, IndexArray, PairScorer, TextState
from cookie.training.precision import Precision, autocast

Direction = Literal["t2i", "i2t"]

TOKENS_ON_CPU = 8_192
"""Image and caption tokens in a batch: the rate is flat from 2 to 8 thousand on a CPU."""
TOKENS_ON_GPU = 524_288
"""As above, for a GPU: enough to fill it."""


class _Work(NamedTuple):
    """All pairs in the order in which they are scored.

    Attributes:
        batches: which pairs are scored at once, in order and without gaps.
        block: what they are.
        pairs: arrays that fix them all, for telling one work from another.
    """

    batches: Sequence[Span]
    block: Callable[[int, int], Block]
    pairs: tuple[IndexArray, ...]


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
    shards: ScoreShards | None = None,
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
        shards: where the scores are kept until they are all there; None for nowhere.
    """
    device = images.tokens.device
    rows = _rows(image_indices, len(images.tokens), device)
    columns = _rows(caption_indices, len(texts.tokens), device)
    lengths = texts.mask[columns].sum(dim=1).cpu().numpy()
    order = np.argsort(lengths, kind="stable")
    place = torch.from_numpy(order).to(device)
    columns, lengths = columns[place], lengths[order]

    def block(start: int, stop: int) -> Block:
        pair = torch.arange(start, stop, device=device)
        caption, image = pair // len(rows), pair % len(rows)
        return Block(rows[image], columns[caption], int(lengths[(stop - 1) // len(rows)]))

    cuts = list(_plan(lengths, len(rows), _per_pair(images), _budget(token_budget, device)))
    pairs = (rows.cpu().numpy(), columns.cpu().numpy(), lengths)
    found = _score(scorer, images, texts, _Work(cuts, block, pairs), precision, progress, shards)
    scores = found.new_empty(len(rows), len(columns))
    scores[:, place] = found.view(len(columns), len(rows)).T
    return scores


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
    shards: ScoreShards | None = None,
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
        shards: see :func:`score_matrix`.
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
        shards=shards,
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
    shards: ScoreShards | None = None,
) -> Tensor:
    """Return (P,) float32: the score of any list of pairs, given by rows of the states.

    Shards tell lists apart by those rows: where the states are a choice of a corpus, tell them of
    which.
    """
    device = images.tokens.device
    lengths = texts.mask.sum(dim=1).cpu().numpy()[caption_rows]
    order = np.argsort(lengths, kind="stable")
    lengths, pairs = lengths[order], (image_rows[order], caption_rows[order])

    def block(start: int, stop: int) -> Block:
        image, caption = (
            torch.from_numpy(part[start:stop]).to(device, non_blocking=True) for part in pairs
        )
        return Block(image, caption, int(lengths[stop - 1]))

    cuts = list(_plan(lengths, 1, _per_pair(images), _budget(token_budget, device)))
    work = _Work(cuts, block, (*pairs, lengths))
    found = _score(scorer, images, texts, work, precision, progress, shards)
    scores = torch.empty_like(found)
    scores[torch.from_numpy(order).to(device)] = found
    return scores


@torch.inference_mode()
def _score(
    scorer: PairScorer,
    images: ImageState,
    texts: TextState,
    work: _Work,
    precision: Precision,
    progress: bool,
    shards: ScoreShards | None,
) -> Tensor:
    """Return the scores of all pairs in the order of ``work``."""
    device, total = images.tokens.device, work.batches[-1][1] if work.batches else 0
    scores = torch.empty(total, device=device)
    bar = tqdm(
        total=total, desc="score", unit="pair", unit_scale=True, disable=not progress, leave=False
    )

    score_block = Halving(partial(_score_block, scorer, images, texts), texts.mask)

    def score(batches: Sequence[Span]) -> Tensor:
        parts = []
        for start, stop in batches:
            parts.append(score_block(work.block(start, stop)))
            bar.update(stop - start)
        return torch.cat(parts)

    name = "" if shards is None else digest(np.array(work.batches), *work.pairs)
    with bar, autocast(device, precision):
        for batches in grouped(work.batches, 1 if shards is None else shards.pairs):
            start, stop = batches[0][0], batches[-1][1]
            make = partial(score, batches)
            kept = make() if shards is None else shards.keep(name, (start, stop), make)
            scores[start:stop] = kept
            bar.update(stop - bar.n)  # what was kept from an earlier run
    return scores


def _score_block(scorer: PairScorer, images: ImageState, texts: TextState, block: Block) -> Tensor:
    """Return (P,) float32: the scores of a batch."""
    captions = TextState(
        texts.tokens[block.caption_rows, : block.length],
        texts.mask[block.caption_rows, : block.length],
    )
    return scorer.score_pairs(ImageState(images.tokens[block.image_rows]), captions).float()


def _plan(lengths: IndexArray, repeat: int, per_pair: int, budget: int) -> Iterator[Span]:
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
