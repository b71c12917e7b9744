"""What earlier batches were embedded as, kept for the contrastive loss to tell pairs from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cookie.interfaces import Outside

EMPTY = -1
"""In place of an image id where nothing is queued yet."""


class Queue(nn.Module):
    """A ring of the newest pairs' embeddings, without gradients (MoCo; He et al., CVPR 2020).

    Everything is a buffer and all arithmetic stays on the device, so a step never waits for it.
    The image id of each pair is kept as well. Over the epochs an image comes back while its
    earlier self, or another of its captions, is still queued: that is no negative, and not made a
    positive either, since how many there are is an accident of the order. It is left out.

    Args:
        size: Q, pairs that fit.
        width: D of an embedding.
    """

    images: Tensor
    texts: Tensor
    ids: Tensor
    pointer: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, width))
        self.register_buffer("texts", torch.zeros(size, width))
        self.register_buffer("ids", torch.full((size,), EMPTY))
        self.register_buffer("pointer", torch.tensor(0))  # where the next pair goes

    @property
    def filled(self) -> int:
        """Pairs that are queued; reading it waits for the device."""
        return int((self.ids != EMPTY).sum())

    def outside(self, ids: Tensor, keys: tuple[Tensor, Tensor] | None = None) -> Outside:
        """Return what a batch is compared with: copies, as a graph keeps them past the next batch.

        Args:
            ids: (B,) int64 image ids of the batch, 0 or above.
            keys: see :class:`Outside`.
        """
        excluded = (self.ids == EMPTY) | (self.ids == ids[:, None])  # (B, Q)
        return Outside(self.images.clone(), self.texts.clone(), excluded, keys)

    @torch.no_grad()
    def enqueue(self, images: Tensor, texts: Tensor, ids: Tensor) -> None:
        """Put a batch in place of the oldest pairs.

        Args:
            images: (B, D), B at most Q.
            texts: (B, D).
            ids: (B,) int64 image ids.
        """
        size, count = len(self.ids), len(ids)
        if count > size:
            raise ValueError(f"a batch of {count} does not fit into a queue of {size}")
        places = (self.pointer + torch.arange(count, device=ids.device)) % size
        self.images[places] = images.float()
        self.texts[places] = texts.float()
        self.ids[places] = ids
        self.pointer.copy_((self.pointer + count) % size)
