"""Retrieval metrics of embeddings and of scores.

Directions, said once: *t2i* is a text query and an image gallery; *i2t* is an image query and a
caption gallery.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from cookie.interfaces import IndexArray
from cookie.retrieval.matrices import (
    EmbeddingError,
    Matrix,
    as_tensor,
    check_matrices,
    common_device,
    reject_not_finite,
    reject_zero,
)
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
from cookie.retrieval.sweep import Sweep, TileShape
from cookie.training.distributed import ALONE, Processes

KS = (1, 5, 10)
BLOCK = 1024


@torch.no_grad()
def evaluate(
    image_embeddings: Matrix,
    caption_embeddings: Matrix,
    caption_image: PositivesLike,
    ks: Sequence[int] = KS,
    *,
    tile: TileShape | None = None,
    processes: Processes = ALONE,
) -> RetrievalMetrics:
    """Return the metrics of both directions from one pass over all scores.

    A score is the inner product, rounded once to float32: ranks do not depend on block size,
    threads, device or number of processes. Memory is O(images + captions) plus one tile of
    scores, in each process: the embeddings are not split, as every image meets every caption
    (4 D bytes a row: 24.6 GB for a million images, five captions each, and D = 1024).

    Args:
        image_embeddings: (images, D), tensor, array or memory map.
        caption_embeddings: (captions, D).
        caption_image: (captions,) image index of each caption. An image without captions stays
            in the gallery and is no query.
        ks: which R@K.
        tile: images and captions scored at once; the default fits the device.
        processes: share out the images; each is given all embeddings and returns the same.

    Raises:
        EmbeddingError: widths differ, a value is not finite, or an embedding is all zero.
        GroundTruthError: ``caption_image`` does not fit, or points at no image.
    """
    check_matrices(image_embeddings, caption_embeddings)
    images, captions = len(image_embeddings), len(caption_embeddings)
    index = check_caption_image(caption_image, images, captions)
    device = common_device(image_embeddings, caption_embeddings)
    ks = check_ks(ks)
    image_rows = _loaded(image_embeddings, "Image", device)
    caption_rows = _loaded(caption_embeddings, "Caption", device)
    i2t, t2i = Sweep(image_rows, caption_rows, index).run(tile, processes)
    return RetrievalMetrics(i2t=summarize(i2t, ks), t2i=summarize(t2i, ks))


def _loaded(matrix: Matrix, kind: str, device: torch.device) -> Tensor:
    """Return checked float32 embeddings on ``device``."""
    embeddings = as_tensor(matrix).to(device, torch.float32)
    lengths = torch.linalg.vector_norm(embeddings, dim=1)
    if not bool((torch.isfinite(lengths) & (lengths > 0)).all()):  # one cheap look at all rows
        reject_not_finite(embeddings, kind)
        reject_zero(embeddings, kind)
    return embeddings


def _parts(queries: IndexArray, block: int) -> list[IndexArray]:
    return [queries[start : start + block] for start in range(0, len(queries), block)]


def join_blocks(blocks: Iterable[BlockRanks], queries: IndexArray, gallery: int) -> QueryRanks:
    """Join blocks of ranks into arrays."""
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
        rank_block(_block(scores, part), truth.select(part).padded(common_device(scores)))
        for part in _parts(asked, block)
    )
    return summarize(join_blocks(blocks, asked, scores.shape[1]), ks)


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
