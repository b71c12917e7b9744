"""The shapes of the house: what models take and give, and what stands between data and models.

Everything here is a small tuple or a :class:`typing.Protocol`; no base classes. Batches, which
go in, are in :mod:`cookie.batches` and can be had from here as well.
Throughout: B images or captions in a batch, N image tokens, L caption tokens, P pairs,
D embedding width, Q queries, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from cookie.batches import ImageBatch, IndexArray, TextBatch, TextView, TrainBatch

__all__ = [
    "ContrastiveSystem",
    "Corpus",
    "DualEncoder",
    "ImageBatch",
    "ImageState",
    "IndexArray",
    "LossOutput",
    "Outside",
    "PairScorer",
    "Searcher",
    "TextBatch",
    "TextState",
    "TextView",
    "TopK",
    "TrainBatch",
    "TrainableSystem",
]


class LossOutput(NamedTuple):
    """A training loss and the named parts that it is the weighted sum of.

    Attributes:
        total: scalar to differentiate.
        parts: name -> detached scalar, for the log; weights are not applied.
    """

    total: Tensor
    parts: Mapping[str, Tensor]


class Outside(NamedTuple):
    """What a batch's pairs are compared with beside one another; none of it has a gradient.

    Attributes:
        images: (Q, D) embeddings of images from earlier batches.
        texts: (Q, D) embeddings of their captions.
        excluded: (B, Q) bool, True where the pair of a row is not to be told from a queued one:
            the two are of the same image, or nothing is queued there.
        keys: (B, D) of the batch's images and (B, D) of its captions as another encoder embeds
            them, to be found in place of the batch's own embeddings; None for these.
    """

    images: Tensor
    texts: Tensor
    excluded: Tensor
    keys: tuple[Tensor, Tensor] | None = None


@runtime_checkable
class DualEncoder(Protocol):
    """Two separate paths into one space: COOKIE, the plain dual-stream, CLIP."""

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        ...

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        ...


class ImageState(NamedTuple):
    """What a pair scorer may keep of an image: tokens ready to enter the joint layers.

    Attributes:
        tokens: (B, N, C).
    """

    tokens: Tensor


class TextState(NamedTuple):
    """What a pair scorer may keep of a caption.

    Attributes:
        tokens: (B, L, C), ready to enter the joint layers; position 0 is [CLS].
        mask: (B, L) bool, True at real tokens.
    """

    tokens: Tensor
    mask: Tensor


@runtime_checkable
class PairScorer(Protocol):
    """A score for an (image, caption) pair from joint layers: single-stream, ViLT, BLIP-ITM."""

    def prepare_images(self, images: ImageBatch) -> ImageState:
        """Return whatever may be cached once per image."""
        ...

    def prepare_texts(self, texts: TextBatch) -> TextState:
        """Return whatever may be cached once per caption."""
        ...

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Return (P,) float32: the score of image i with caption i; larger matches better."""
        ...


class TopK(NamedTuple):
    """The best gallery rows of each query, best first.

    Attributes:
        scores: (Q, k) float32, descending.
        indices: (Q, k) int64 gallery rows; among equal scores the lowest index comes first.
    """

    scores: Tensor
    indices: Tensor


class Searcher(Protocol):
    """What the harness times, whichever family stands behind it."""

    def index(self, gallery: Any) -> None:  # noqa: ANN401 -- each family has its own gallery
        """Take in the gallery; work that is done once."""
        ...

    def search(self, queries: Any, k: int) -> TopK:  # noqa: ANN401
        """Return the ``k`` best gallery rows of each query."""
        ...


@runtime_checkable
class TrainableSystem(Protocol):
    """What the trainer needs of a model beyond :class:`torch.nn.Module`."""

    image_views: int
    """1, or 2 when ``training_loss`` wants ``images_second``."""
    text_view: TextView | None
    """How ``texts_second`` is to be made, or None when it is not wanted."""
    text_layers: int | None
    """Text encoder layers that a cached ``TextBatch.tokens`` has been through; None means all."""

    def training_loss(self, batch: TrainBatch) -> LossOutput:
        """Return the loss of one batch; forward passes run inside, under the caller's autocast."""
        ...


@runtime_checkable
class ContrastiveSystem(TrainableSystem, Protocol):
    """A system whose loss reads nothing of a batch but its rows' embeddings.

    Rows are embedded independently of one another, so a batch may be embedded in parts, by
    several processes or one part after the other, and the loss still be that of the whole batch:
    ``training_loss(batch)`` is ``contrast(embed(batch))``.
    """

    def embed(self, batch: TrainBatch) -> tuple[Tensor, ...]:
        """Return (B, D) for every view, the images' first; row i belongs to pair i."""
        ...

    def contrast(
        self, embeddings: tuple[Tensor, ...], outside: Outside | None = None
    ) -> LossOutput:
        """Return the loss of a batch from what :meth:`embed` made of its rows.

        Args:
            embeddings: of the whole batch.
            outside: what else its pairs are compared with; None for nothing.
        """
        ...


class Corpus(Protocol):
    """What models read of a data set split: batches by index, from pixels or from cached tokens.

    With ``generator`` a batch is randomly augmented (and only reproducible through it); without,
    it is as evaluation wants it. Batches come on the corpus's device.
    """

    @property
    def caption_image(self) -> IndexArray:
        """(captions,) the image index of each caption: ground truth is ragged."""
        ...

    @property
    def image_count(self) -> int:
        """Number of images."""
        ...

    @property
    def captions(self) -> Sequence[str]:
        """The captions as written."""
        ...

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return the images at ``indices`` (B,)."""
        ...

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return the captions at ``indices`` (B,), padded to the longest among them.

        With ``generator`` the captions are augmented as ``view`` says: ``mask`` replaces words by
        [MASK] (same length, so the original ids are the labels of a masked language model),
        ``delete`` drops them, ``dropout`` leaves them (the model's own dropout makes the view),
        ``caption`` gives another caption of the same image, where it has one, as written: that is
        supervision which the other views do without.
        """
        ...
