"""Which pairs make up each training step: one order for every system of a seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch

from cookie.errors import UserError
from cookie.interfaces import IndexArray

_ORDER, _CAPTION = 0, 1


def pair_order(caption_image: IndexArray, seed: int, epoch: int) -> IndexArray:
    """Return one epoch: a caption index for every image that has captions, images shuffled.

    Raw draws of a counter-based generator (Philox, keyed by seed and epoch) decide, so the
    caption of an image depends on (seed, epoch, image) alone and not on the library's version.

    Args:
        caption_image: (captions,) the image of each caption.
        seed: of the run; every system of a seed gets the same order.
        epoch: counts from 0.

    Returns:
        (images with captions,) int64 caption indices; ``caption_image[result]`` has no repeats.
    """
    by_image = np.argsort(caption_image, kind="stable")
    images, first, counts = np.unique(
        caption_image[by_image], return_index=True, return_counts=True
    )
    draws = _draws(seed, epoch, _CAPTION, int(images.max(initial=-1)) + 1)[images]
    chosen = by_image[first + (draws % counts.astype(np.uint64)).astype(np.int64)]
    shuffled = np.argsort(_draws(seed, epoch, _ORDER, len(images)), kind="stable")
    return chosen[shuffled].astype(np.int64)


def pair_batches(
    caption_image: IndexArray, batch_size: int, seed: int, start: int = 0
) -> Iterator[IndexArray]:
    """Yield (batch_size,) caption indices for step ``start``, ``start + 1``, ... without end.

    What is left of an epoch opens the first batch of the next one; images that the leftover
    already holds are put right behind that batch, so no batch holds an image twice and every
    epoch still uses each image once.

    Raises:
        UserError: there are fewer images than ``batch_size``.
    """
    images = len(np.unique(caption_image))
    if batch_size > images:
        raise UserError(
            f"A batch of {batch_size} needs as many images and the training split has {images}: "
            "set a smaller train.batch_size."
        )
    return itertools.islice(_batches(caption_image, batch_size, seed), start, None)


def step_generator(seed: int, step: int, purpose: int) -> torch.Generator:
    """Return the CPU generator of one random ``purpose`` of a step, independent of all others.

    Augmentation is then the same whichever other views a system asks for, and a resumed run
    needs no stored state for it.
    """
    state = np.random.SeedSequence([seed, step, purpose]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def _batches(caption_image: IndexArray, batch_size: int, seed: int) -> Iterator[IndexArray]:
    waiting = np.empty(0, np.int64)
    for epoch in itertools.count():
        order = pair_order(caption_image, seed, epoch)
        order = _defer(order, caption_image, waiting, batch_size - len(waiting))
        waiting = np.concatenate([waiting, order])
        while len(waiting) >= batch_size:
            yield waiting[:batch_size]
            waiting = waiting[batch_size:]


def _defer(
    order: IndexArray, caption_image: IndexArray, waiting: IndexArray, room: int
) -> IndexArray:
    """Return ``order`` with its first ``room`` images all different from the waiting ones."""
    fresh = ~np.isin(caption_image[order], caption_image[waiting])
    leading = np.flatnonzero(fresh)[:room]
    return np.concatenate([order[leading], np.delete(order, leading)])


def _draws(
    seed: int, epoch: int, stream: int, count: int
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    key = np.array([seed, epoch], np.uint64)
    counter = np.array([0, 0, 0, stream], np.uint64)
    return np.random.Philox(counter=counter, key=key).random_raw(count)
