"""Named evaluation protocols: what exactly a number in a table was computed on.

* ``karpathy-test``: all images of a split against all its captions, both directions.
* ``coco-5k``: the same on the 5,000 test images of MSCOCO.
* ``coco-1k``: the mean over five consecutive folds of a fifth of the images each, every fold a
  gallery of its own. No other 1K exists here: a single fold is not comparable.
* ``cxc``, ``eccv``: the 5,000 test images with further positives that people found
  (:mod:`cookie.retrieval.labels`); ECCV Caption asks for mAP@R, R-Precision and R@1.
* retrieval within one modality, of which Crisscrossed Captions has t2t and i2i.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch

from cookie.errors import unknown
from cookie.interfaces import IndexArray
from cookie.retrieval.labels import Labels
from cookie.retrieval.matrices import (
    Matrix,
    as_tensor,
    check_matrices,
    common_device,
    reject_not_finite,
    reject_zero,
)
from cookie.retrieval.metrics import (
    DirectionMetrics,
    RetrievalMetrics,
    check_ks,
    mean_metrics,
    summarize,
)
from cookie.retrieval.positives import GroundTruthError, Positives, PositivesLike, as_positives
from cookie.retrieval.positives import check_caption_image as _checked
from cookie.retrieval.products import exact_products
from cookie.retrieval.ranking import BlockRanks, rank_block
from cookie.retrieval.recall import KS, evaluate, join_blocks

FOLDS = 5
PROTOCOLS = ("karpathy-test", "coco-5k", "coco-1k")
_QUERIES_AT_ONCE = 512
EvaluatedFold: TypeAlias = tuple[RetrievalMetrics, IndexArray, IndexArray]
"""One fold's metrics, and the rows of its images and captions in the whole split."""


def evaluate_protocol(
    protocol: str,
    image_embeddings: Matrix,
    caption_embeddings: Matrix,
    caption_image: PositivesLike,
    ks: Sequence[int] = KS,
) -> RetrievalMetrics:
    """Return the metrics of a protocol that needs no further labels; see :data:`PROTOCOLS`.

    Raises:
        UserError: the protocol is unknown, or a COCO protocol is asked of other than 5,000 images.
    """
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    if protocol.startswith("coco") and len(image_embeddings) != 5000:
        raise GroundTruthError(
            f"{protocol} is defined on the 5,000 test images of MSCOCO, not on "
            f"{len(image_embeddings)}: use karpathy-test."
        )
    if protocol == "coco-1k":
        return evaluate_folds(image_embeddings, caption_embeddings, caption_image, ks)
    return evaluate(image_embeddings, caption_embeddings, caption_image, ks)


def evaluate_folds(
    image_embeddings: Matrix,
    caption_embeddings: Matrix,
    caption_image: PositivesLike,
    ks: Sequence[int] = KS,
    folds: int = FOLDS,
) -> RetrievalMetrics:
    """Return the mean over ``folds`` consecutive, equally large folds of the images.

    Args:
        image_embeddings: (images, D), in the order of the data set.
        caption_embeddings: (captions, D).
        caption_image: (captions,) image index of each caption.
        ks: which R@K.
        folds: number of folds; it divides the number of images.

    Returns:
        Mean rates and ranks; ``ranks`` and ``queries`` hold all folds, ranks being within a fold.
    """
    images = len(image_embeddings)
    index = _checked(caption_image, images, len(caption_embeddings))
    if images % folds:
        raise GroundTruthError(f"{images} images do not split into {folds} equal folds.")
    parts = [
        _evaluate_fold(image_embeddings, caption_embeddings, index, ks, start, images // folds)
        for start in range(0, images, images // folds)
    ]
    return mean_of_folds(parts)


def mean_of_folds(parts: Sequence[EvaluatedFold]) -> RetrievalMetrics:
    """Return the mean of the folds' figures; the ranks are joined in the order of the queries."""
    return RetrievalMetrics(
        i2t=_mean_direction([found.i2t for found, _, _ in parts], [own for _, own, _ in parts]),
        t2i=_mean_direction([found.t2i for found, _, _ in parts], [own for _, _, own in parts]),
    )


def _evaluate_fold(
    images: Matrix, captions: Matrix, index: IndexArray, ks: Sequence[int], start: int, size: int
) -> EvaluatedFold:
    own = np.flatnonzero((index >= start) & (index < start + size)).astype(np.int64)
    found = evaluate(images[start : start + size], captions[own], index[own] - start, ks)
    return found, np.arange(start, start + size), own


def _mean_direction(
    parts: Sequence[DirectionMetrics], members: Sequence[IndexArray]
) -> DirectionMetrics:
    """Average the figures of folds; join their ranks in the order of the queries."""
    queries = [own[part.queries] for part, own in zip(parts, members, strict=True)]
    order = np.argsort(np.concatenate(queries), kind="stable")

    def rates(name: str) -> dict[int, float]:
        return mean_metrics([getattr(part, name) for part in parts])

    def mean(name: str) -> float:
        return float(np.mean([getattr(part, name) for part in parts]))

    return DirectionMetrics(
        recall=rates("recall"),
        optimistic=rates("optimistic"),
        pessimistic=rates("pessimistic"),
        median_rank=mean("median_rank"),
        mean_rank=mean("mean_rank"),
        mrr=mean("mrr"),
        map_at_r=mean("map_at_r"),
        r_precision=mean("r_precision"),
        tied=mean("tied"),
        ranks=np.concatenate([part.ranks for part in parts])[order],
        queries=np.concatenate(queries)[order],
        gallery=parts[0].gallery,
    )


def evaluate_labels(
    image_embeddings: Matrix,
    caption_embeddings: Matrix,
    labels: Labels,
    ks: Sequence[int] = KS,
) -> RetrievalMetrics:
    """Return the metrics under labels that differ by direction, such as CxC or ECCV Caption.

    Queries without a label are left out; the gallery is always everything.

    Args:
        image_embeddings: (images, D).
        caption_embeddings: (captions, D).
        labels: positives of both directions, by row of these embeddings.
        ks: which R@K.
    """
    images, captions, absent = image_embeddings, caption_embeddings, labels.absent
    return RetrievalMetrics(
        i2t=_evaluate_direction(images, captions, labels.i2t, ks, absent=absent),
        t2i=_evaluate_direction(captions, images, labels.t2i, ks),
    )


def evaluate_direction(
    queries: Matrix, gallery: Matrix, positives: PositivesLike, ks: Sequence[int] = KS
) -> DirectionMetrics:
    """Return one direction's metrics under any positives; queries without are left out.

    Args:
        queries: (Q, D).
        gallery: (G, D).
        positives: gallery rows that are right for each query.
        ks: which R@K.
    """
    return _evaluate_direction(queries, gallery, as_positives(positives), ks)


def evaluate_within(
    embeddings: Matrix, positives: PositivesLike, ks: Sequence[int] = KS
) -> DirectionMetrics:
    """Return retrieval within one modality (t2t, i2i): a query never finds itself.

    Args:
        embeddings: (Q, D), queries and gallery at once.
        positives: rows that are right for each row, itself not among them.
        ks: which R@K.

    Raises:
        GroundTruthError: a row is its own positive.
    """
    truth = as_positives(positives)
    owner = np.repeat(np.arange(len(truth)), truth.counts)
    if (owner == truth.indices).any():
        raise GroundTruthError("A query is among its own positives: leave it out.")
    return _evaluate_direction(embeddings, embeddings, truth, ks, within=True)


@torch.no_grad()
def _evaluate_direction(
    queries: Matrix,
    gallery: Matrix,
    truth: Positives,
    ks: Sequence[int],
    *,
    within: bool = False,
    absent: int = 0,
) -> DirectionMetrics:
    """Rank the queries that have positives, the last ``absent`` gallery rows being out of reach."""
    check_matrices(queries, gallery)
    truth.check(len(queries), len(gallery) + absent)
    device, ks = common_device(gallery, queries), check_ks(ks)
    rows = as_tensor(gallery).to(device)
    for matrix, kind in ((queries, "Query"), (gallery, "Gallery")):
        reject_not_finite(matrix, kind)
        reject_zero(as_tensor(matrix), kind)
    asked = truth.answerable
    parts = np.split(asked, range(_QUERIES_AT_ONCE, len(asked), _QUERIES_AT_ONCE))
    blocks = [
        _rank_part(as_tensor(queries[part]).to(device), rows, truth, part, within, absent)
        for part in parts
        if len(part)
    ]
    return summarize(join_blocks(blocks, asked, len(gallery)), ks)


def _rank_part(
    queries: torch.Tensor,
    gallery: torch.Tensor,
    truth: Positives,
    part: IndexArray,
    within: bool,
    absent: int,
) -> BlockRanks:
    """Rank the queries ``part`` (embeddings ``queries``) by exactly rounded scores."""
    scores = exact_products(queries, gallery)
    if within:
        own = torch.from_numpy(part).to(gallery.device)
        scores.scatter_(1, own[:, None], -torch.inf)
    scores = torch.nn.functional.pad(scores, (0, absent), value=-torch.inf)
    ranked = rank_block(scores, truth.select(part).padded(gallery.device))
    first, middle, last = (ranks.clamp(max=len(gallery)) for ranks in ranked[:3])
    return ranked._replace(ranks=first, optimistic=middle, pessimistic=last)
