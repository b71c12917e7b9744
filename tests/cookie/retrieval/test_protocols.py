"""Protocols by their definition: folds, labels that differ by direction, one modality."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cookie.errors import UserError
from cookie.retrieval import EmbeddingError, GroundTruthError, evaluate
from cookie.retrieval.labels import Labels
from cookie.retrieval.positives import Positives
from cookie.retrieval.protocols import (
    evaluate_direction,
    evaluate_folds,
    evaluate_labels,
    evaluate_protocol,
    evaluate_within,
)
from tests.cookie.retrieval import oracle

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(-2, 3, (20, 6)).astype(np.float32) + np.float32(0.25)
CAPTION_IMAGE = RNG.permutation(np.concatenate([np.arange(20), RNG.integers(0, 20, 30)]))
CAPTIONS = IMAGES[CAPTION_IMAGE] + RNG.integers(-1, 2, (50, 6)).astype(np.float32)


def test_folds_are_consecutive_images_with_galleries_of_their_own() -> None:
    found = evaluate_folds(IMAGES, CAPTIONS, CAPTION_IMAGE, (1, 3), folds=5)
    parts = []
    for start in range(0, 20, 4):
        own = np.flatnonzero((start <= CAPTION_IMAGE) & (start + 4 > CAPTION_IMAGE))
        fold = evaluate(
            IMAGES[start : start + 4], CAPTIONS[own], CAPTION_IMAGE[own] - start, (1, 3)
        )
        parts.append(fold)
        assert found.t2i.ranks[own].tolist() == fold.t2i.ranks.tolist()
        assert found.i2t.ranks[start : start + 4].tolist() == fold.i2t.ranks.tolist()
    assert found.rsum == pytest.approx(np.mean([fold.rsum for fold in parts]))
    for name in ("median_rank", "mean_rank", "mrr", "map_at_r", "r_precision", "tied"):
        expected = np.mean([getattr(fold.t2i, name) for fold in parts])
        assert getattr(found.t2i, name) == pytest.approx(expected)
    assert found.t2i.queries.tolist() == list(range(50))
    assert found.i2t.queries.tolist() == list(range(20))


def test_one_fold_is_the_plain_evaluation() -> None:
    whole = evaluate_folds(IMAGES, CAPTIONS, CAPTION_IMAGE, folds=1)
    assert whole.rsum == evaluate(IMAGES, CAPTIONS, CAPTION_IMAGE).rsum


def test_folds_must_divide_the_images() -> None:
    with pytest.raises(GroundTruthError, match="20 images do not split into 3"):
        evaluate_folds(IMAGES, CAPTIONS, CAPTION_IMAGE, folds=3)


def test_protocols_by_name() -> None:
    plain = evaluate_protocol("karpathy-test", IMAGES, CAPTIONS, CAPTION_IMAGE)
    assert plain.rsum == evaluate(IMAGES, CAPTIONS, CAPTION_IMAGE).rsum
    with pytest.raises(UserError, match="did you mean 'coco-5k'"):
        evaluate_protocol("coco5k", IMAGES, CAPTIONS, CAPTION_IMAGE)
    for name in ("coco-5k", "coco-1k"):
        with pytest.raises(UserError, match="5,000 test images of MSCOCO, not on 20"):
            evaluate_protocol(name, IMAGES, CAPTIONS, CAPTION_IMAGE)


def test_labels_may_differ_by_direction_and_leave_queries_out() -> None:
    i2t = Positives.from_lists([[], [3, 7], *[[]] * 17, [1, 2, 3]])
    t2i = Positives.from_pairs([4, 4, 9], [0, 19, 5], 50)
    found = evaluate_labels(IMAGES, CAPTIONS, Labels(i2t, t2i), (1, 5))
    scores = IMAGES @ CAPTIONS.T
    assert found.i2t.queries.tolist() == [1, 19]
    assert found.t2i.queries.tolist() == [4, 9]
    for query, rank in zip(found.i2t.queries, found.i2t.ranks, strict=True):
        assert rank == oracle.best_rank(scores[query], i2t.of(query).tolist())
    expected = [
        oracle.average_precision_at_r(scores[query], i2t.of(query).tolist()) for query in (1, 19)
    ]
    assert found.i2t.map_at_r == pytest.approx(100 * np.mean(expected))


def test_positives_that_are_absent_count_in_r_and_are_never_found() -> None:
    i2t = Positives.from_lists([[0, 50], [51], *[[]] * 18])
    t2i = Positives.from_pairs([0], [0], 50)
    found = evaluate_labels(IMAGES, CAPTIONS, Labels(i2t, t2i, absent=2), (1, 50))
    scores = np.pad(IMAGES @ CAPTIONS.T, ((0, 0), (0, 2)), constant_values=-np.inf)
    assert found.i2t.ranks.tolist() == [oracle.best_rank(scores[0], [0]), 50]
    half = oracle.average_precision_at_r(scores[0], [0, 50])
    assert found.i2t.map_at_r == pytest.approx(100 * half / 2)
    with pytest.raises(GroundTruthError, match="gallery row"):
        evaluate_labels(IMAGES, CAPTIONS, Labels(i2t, t2i), (1,))


def test_within_a_modality_a_query_does_not_find_itself() -> None:
    truth = Positives.from_lists(
        [
            [other for other in range(20) if other % 4 == row % 4 and other != row]
            for row in range(20)
        ]
    )
    found = evaluate_within(torch.from_numpy(IMAGES), truth, (1, 2))
    scores = IMAGES @ IMAGES.T
    np.fill_diagonal(scores, -np.inf)
    expected = [oracle.best_rank(scores[row], truth.of(row).tolist()) for row in range(20)]
    assert found.ranks.tolist() == expected
    with pytest.raises(GroundTruthError, match="own positives"):
        evaluate_within(IMAGES, np.arange(20))


def test_wrong_input_is_named() -> None:
    with pytest.raises(GroundTruthError, match="20 queries"):
        evaluate_direction(CAPTIONS, IMAGES, np.zeros(20, np.int64))
    with pytest.raises(GroundTruthError, match="gallery row 20"):
        evaluate_direction(IMAGES, IMAGES, np.arange(1, 21))
    zero = IMAGES.copy()
    zero[4] = 0
    with pytest.raises(EmbeddingError, match="Query embedding 4 is all zero"):
        evaluate_direction(zero, IMAGES, np.arange(20))
