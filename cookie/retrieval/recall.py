"""Retrieval metrics of embeddings and of scores.

Directions, said once: *t2i* is a text query and an image gallery; *i2t* is an image query and a
caption gallery.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from cookie.interfaces import IndexArray
from cookie.retrieval.errors import EmbeddingError
from cookie.retrieval.metrics import (
    DirectionMetrics,
    QueryRanks,
    RetrievalMetrics,
    check_ks,
    summarize,
)
from cookie.retrieval.positives import (
    GroundTruthError,
    Positives,
    PositivesLike,
    as_positives,
    check_caption_image,
    image_positives,
    text_positives,
)
from cookie.retrieval.ranking import BlockRanks, rank_block
from cookie.retrieval.topk import Matrix, as_tensor, check_matrices, common_device, rows

KS = (1, 5, 10)
BLOCK = 1024


@torch.no_grad()
def evaluate(
    image_embeddings: Matrix,
    caption_embeddings: Matrix,
    caption_image: PositivesLike,
    ks: Sequence[int] = KS,
    *,
    block: int = BLOCK,
) -> RetrievalMetrics:
    """Return the metrics of both directions; the score is the float32 inner product.

    Memory is O(images + captions) plus one block of scores.

    Args:
        image_embeddings: (images, D), tensor, array or memory map.
        caption_embeddings: (captions, D).
        caption_image: (captions,) image index of each caption. An image without captions stays
            in the gallery and is no query.
        ks: which R@K.
        block: queries scored at once.

    Raises:
        EmbeddingError: widths differ, a value is not finite, or an embedding is all zero.
        GroundTruthError: ``caption_image`` does not fit, or points at no image.
    """
    check_matrices(image_embeddings, caption_embeddings)
    images, captions = len(image_embeddings), len(caption_embeddings)
    index = check_caption_image(caption_image, images, captions)
    device = common_device(image_embeddings, caption_embeddings)
    image_rows = _nonzero(rows(image_embeddings, 0, images, device), "Image")
    caption_rows = _nonzero(rows(caption_embeddings, 0, captions, device), "Caption")
    ks = check_ks(ks)
    return RetrievalMetrics(
        i2t=_direction(image_rows, caption_rows, image_positives(index, images), ks, block),
        t2i=_direction(caption_rows, image_rows, text_positives(index), ks, block),
    )


def _nonzero(embeddings: Tensor, kind: str) -> Tensor:
    zero = torch.nonzero(~embeddings.any(dim=1)).flatten()
    if len(zero):
        raise EmbeddingError(
            f"{kind} embedding {int(zero[0])} is all zero (of {len(zero)} such): "
            "its scores would all tie."
        )
    return embeddings


def _direction(
    queries: Tensor, gallery: Tensor, positives: Positives, ks: Sequence[int], block: int
) -> DirectionMetrics:
    asked = positives.answerable
    blocks = (
        rank_block(
            queries[torch.from_numpy(part).to(queries.device)] @ gallery.T,
            positives.select(part).padded(queries.device),
        )
        for part in _parts(asked, block)
    )
    return summarize(_gather(blocks, asked, len(gallery)), ks)


def _parts(queries: IndexArray, block: int) -> list[IndexArray]:
    return [queries[start : start + block] for start in range(0, len(queries), block)]


def _gather(blocks: Iterable[BlockRanks], queries: IndexArray, gallery: int) -> QueryRanks:
    """Join blocks of ranks on the CPU."""
    parts = list(blocks) or [BlockRanks.empty()]
    ranks, optimistic, pessimistic, average_precision, r_precision = (
        torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True)
    )
    return QueryRanks(
        queries, ranks, optimistic, pessimistic, average_precision, r_precision, gallery
    )


@torch.no_grad()
def direction_metrics(
    scores: Matrix,
    positives: PositivesLike,
    ks: Sequence[int] = KS,
    *,
    block: int = BLOCK,
) -> DirectionMetrics:
    """Return one direction's metrics from scores, for all queries or a sample of them.

    Scores are compared in the type they are given in: half precision makes ties, and the bounds
    show them.

    Args:
        scores: (Q, G), larger is better; -inf where a pair was not scored, as outside a
            shortlist: a query none of whose positives is scored counts as never found.
        positives: (Q,) one gallery row each, a list of rows per query, or :class:`Positives`.
        ks: which R@K.
        block: queries ranked at once.

    Raises:
        EmbeddingError: a score is NaN or +inf, or ``scores`` is no matrix.
        GroundTruthError: ``positives`` does not fit ``scores``.
    """
    truth, ks = as_positives(positives), check_ks(ks)
    if scores.ndim != 2:
        raise EmbeddingError(f"Scores must be (queries, gallery), not {tuple(scores.shape)}.")
    truth.check(*scores.shape)
    asked = truth.answerable
    if len(asked) < len(truth) and not isinstance(positives, Positives):
        raise GroundTruthError(
            f"{len(truth) - len(asked)} queries have no positive: leave them out of the scores."
        )
    blocks = (
        rank_block(_block(scores, part), truth.select(part).padded(common_device(scores, scores)))
        for part in _parts(asked, block)
    )
    return summarize(_gather(blocks, asked, scores.shape[1]), ks)


def _block(scores: Matrix, queries: IndexArray) -> Tensor:
    """Return rows of ``scores``; neighbors without a copy."""
    if len(queries) and queries[-1] - queries[0] + 1 == len(queries):
        part = scores[int(queries[0]) : int(queries[-1]) + 1]
    else:
        part = scores[queries]
    return as_tensor(part)


def evaluate_scores(
    scores: Matrix,
    caption_image: PositivesLike,
    ks: Sequence[int] = KS,
    *,
    block: int = BLOCK,
) -> RetrievalMetrics:
    """Return the metrics of both directions from a full score matrix.

    Args:
        scores: (images, captions), larger is better; -inf where a pair was not scored.
        caption_image: (captions,) image index of each caption.
        ks: which R@K.
        block: queries ranked at once.

    Raises:
        EmbeddingError: a score is NaN or +inf, or ``scores`` is no matrix.
        GroundTruthError: ``caption_image`` does not fit, or points at no image.
    """
    if scores.ndim != 2:
        raise EmbeddingError(f"Scores must be (images, captions), not {tuple(scores.shape)}.")
    index = check_caption_image(caption_image, *scores.shape)
    truth = image_positives(index, scores.shape[0])
    return RetrievalMetrics(
        i2t=direction_metrics(scores, truth, ks, block=block),
        t2i=direction_metrics(scores.T, text_positives(index), ks, block=block),
    )
