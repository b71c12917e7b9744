"""Metrics of both directions against the oracle, their properties, and wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cookie.errors import UserError
from cookie.retrieval import (
    EmbeddingError,
    GroundTruthError,
    Positives,
    direction_metrics,
    evaluate,
    evaluate_scores,
)
from cookie.retrieval.metrics import DirectionMetrics, RetrievalMetrics
from cookie.retrieval.sweep import TileShape
from tests.cookie.retrieval import oracle

KS = (1, 2, 5)


def tied_case(seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Small whole-number embeddings (many exact ties) and ragged captions, shuffled."""
    rng = np.random.default_rng(seed)
    images = int(rng.integers(2, 9))
    counts = rng.integers(1, 5, images)
    caption_image = rng.permutation(np.repeat(np.arange(images), counts))
    sizes = ((images, 3), (len(caption_image), 3))
    left, right = (torch.from_numpy(rng.integers(1, 4, size)).float() for size in sizes)
    return left, right, caption_image


def check_direction(
    found: DirectionMetrics, scores: np.ndarray, positives: list[list[int]]
) -> None:
    """Compare every figure with its definition."""
    pairs = list(zip(scores, positives, strict=True))
    ranks = [oracle.best_rank(row, wanted) for row, wanted in pairs]
    best = [oracle.optimistic_rank(row, wanted) for row, wanted in pairs]
    worst = [oracle.pessimistic_rank(row, wanted) for row, wanted in pairs]
    assert found.ranks.tolist() == ranks
    for k in KS:
        assert found.recall[k] == pytest.approx(100 * np.mean([rank < k for rank in ranks]))
        assert found.optimistic[k] == pytest.approx(100 * np.mean([rank < k for rank in best]))
        assert found.pessimistic[k] == pytest.approx(100 * np.mean([rank < k for rank in worst]))
    assert found.median_rank == np.median(ranks) + 1
    assert found.mean_rank == pytest.approx(np.mean(ranks) + 1)
    assert found.mrr == pytest.approx(100 * np.mean([1 / (rank + 1) for rank in ranks]))
    precision = [oracle.average_precision_at_r(row, wanted) for row, wanted in pairs]
    assert found.map_at_r == pytest.approx(100 * np.mean(precision))
    assert found.tied == pytest.approx(
        100 * np.mean([low < high for low, high in zip(best, worst, strict=True)])
    )


def check_both(found: RetrievalMetrics, scores: np.ndarray, caption_image: np.ndarray) -> None:
    captions = [np.flatnonzero(caption_image == image).tolist() for image in range(len(scores))]
    check_direction(found.i2t, scores, captions)
    check_direction(found.t2i, scores.T, [[image] for image in caption_image])
    expected = sum(
        oracle.recall(scores, captions, k)
        + oracle.recall(scores.T, [[image] for image in caption_image], k)
        for k in KS
    )
    assert found.rsum == pytest.approx(expected)


@settings(deadline=None, max_examples=80)
@given(seed=st.integers(0, 10_000), block=st.integers(1, 20), width=st.integers(1, 30))
def test_every_figure_equals_its_definition_with_ties_and_ragged_captions(
    seed: int, block: int, width: int
) -> None:
    images, captions, caption_image = tied_case(seed)
    scores = images @ captions.T
    check_both(
        evaluate(images, captions, caption_image, KS, tile=TileShape(block, width)),
        scores.numpy(),
        caption_image,
    )
    check_both(
        evaluate_scores(scores, caption_image, KS, block=block), scores.numpy(), caption_image
    )


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_recall_rises_with_k_and_lies_between_its_bounds(seed: int) -> None:
    images, captions, caption_image = tied_case(seed)
    found = evaluate(images, captions, caption_image, tuple(range(1, 30)))
    for direction in (found.i2t, found.t2i):
        rates = list(direction.recall.values())
        assert rates == sorted(rates)
        for k, rate in direction.recall.items():
            assert direction.pessimistic[k] <= rate <= direction.optimistic[k]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_a_joint_permutation_changes_nothing_but_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images, captions = (torch.from_numpy(rng.standard_normal((size, 4))) for size in (9, 21))
    caption_image = rng.permutation(np.concatenate([np.arange(9), rng.integers(0, 9, 12)]))
    order, caption_order = rng.permutation(9), rng.permutation(21)
    moved_image = np.argsort(order)[caption_image][caption_order]
    first = evaluate(images, captions, caption_image, KS)
    second = evaluate(images[order], captions[caption_order], moved_image, KS)
    assert first.rsum == pytest.approx(second.rsum)
    assert first.i2t.ranks[order].tolist() == second.i2t.ranks.tolist()
    assert first.t2i.ranks[caption_order].tolist() == second.t2i.ranks.tolist()
    assert first.i2t.map_at_r == pytest.approx(second.i2t.map_at_r)


def test_perfect_scores_give_one_hundred() -> None:
    caption_image = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])
    images = torch.eye(6)
    found = evaluate(images, images[caption_image], caption_image)
    assert found.rsum == 600.0
    for direction in (found.i2t, found.t2i):
        assert (direction.map_at_r, direction.mrr, direction.tied) == (100.0, 100.0, 0.0)
        assert (direction.median_rank, direction.mean_rank) == (1.0, 1.0)
        assert direction.pessimistic == direction.recall
        assert not direction.collapsed


def test_a_collapsed_model_scores_chance_and_is_flagged() -> None:
    caption_image = np.repeat(np.arange(100), 5)
    found = evaluate(torch.ones(100, 4), torch.ones(500, 4), caption_image)
    assert found.t2i.recall == {1: 1.0, 5: 5.0, 10: 10.0}  # K of 100 images: chance
    assert found.i2t.recall == {1: 1.0, 5: 1.0, 10: 2.0}  # captions 0..4 are image 0's
    for direction in (found.i2t, found.t2i):
        assert direction.collapsed
        assert direction.tied == 100.0
        assert set(direction.pessimistic.values()) == {0.0}
        assert set(direction.optimistic.values()) == {100.0}


def test_duplicate_images_tie_and_show_in_the_bounds() -> None:
    images = torch.eye(3)[[0, 0, 1, 2]]
    found = evaluate(images, images, np.arange(4), (1,))
    assert found.t2i.ranks.tolist() == [0, 1, 0, 0]
    assert (found.t2i.pessimistic[1], found.t2i.recall[1], found.t2i.optimistic[1]) == (50, 75, 100)


def test_an_image_without_captions_is_a_distractor_and_no_query() -> None:
    scores = torch.tensor([[0.1, 0.2], [0.9, 0.3], [0.5, 0.8]])
    found = evaluate_scores(scores, np.array([0, 2]), (1, 2, 3))
    assert found.i2t.queries.tolist() == [0, 2]
    assert found.i2t.ranks.tolist() == [1, 0]
    assert found.t2i.ranks.tolist() == [2, 0]


def test_a_sample_of_queries_is_ranked_against_the_whole_gallery() -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((40, 30)).astype(np.float32)
    truth = rng.integers(0, 30, 40)
    sample = rng.choice(40, 12, replace=False)
    whole = direction_metrics(scores, truth)
    part = direction_metrics(torch.from_numpy(scores[sample]), truth[sample], block=5)
    assert part.ranks.tolist() == whole.ranks[sample].tolist()
    assert part.gallery == 30


def test_ground_truth_may_be_lists_an_array_or_compressed_rows() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    forms = [np.array([1, 1]), torch.tensor([1, 1]), [[1], [1]], Positives.from_lists([[1], [1]])]
    assert [direction_metrics(scores, form, (2,)).recall for form in forms] == [{2: 100.0}] * 4


def test_shortlists_never_find_what_they_did_not_score() -> None:
    hidden = -float("inf")
    scores = torch.tensor([[0.9, 0.5, hidden, hidden], [0.1, 0.5, hidden, hidden]])
    found = direction_metrics(scores, [[1, 3], [2, 3]], (1, 2, 4))
    assert found.ranks.tolist() == [1, 4]
    assert found.recall == found.optimistic == found.pessimistic == {1: 0.0, 2: 50.0, 4: 50.0}
    assert found.mrr == pytest.approx(25.0)
    assert found.map_at_r == pytest.approx(100 * np.mean([0.5 / 2, 0.0]))


def test_half_precision_scores_are_compared_as_they_are() -> None:
    scores = torch.tensor([[1.0, 1.001]])
    assert direction_metrics(scores, np.array([1]), (1,)).tied == 0.0
    assert direction_metrics(scores.bfloat16(), np.array([1]), (1,)).tied == 100.0


def test_arrays_tensors_and_maps_agree(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    images, captions = rng.standard_normal((7, 6), dtype=np.float32), rng.standard_normal((14, 6))
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    caption_image = np.arange(14) % 7
    first = evaluate(mapped, captions, caption_image.tolist())
    second = evaluate(torch.from_numpy(images), torch.from_numpy(captions), caption_image)
    assert first.to_dict(ranks=True) == second.to_dict(ranks=True)


def test_metrics_are_json() -> None:
    found = evaluate(torch.eye(3), torch.eye(3), np.arange(3))
    text = json.dumps(found.to_dict(ranks=True))
    assert json.loads(text)["t2i"]["ranks"] == [0, 0, 0]
    assert json.loads(text)["i2t"]["recall"]["10"] == 100.0


def test_no_queries_give_no_figures() -> None:
    found = direction_metrics(torch.empty(0, 5), np.empty(0, np.int64))
    assert len(found.ranks) == 0
    assert np.isnan(found.recall[1])


@pytest.mark.parametrize(
    ("caption_image", "message"),
    [
        ([0, 1, 3], "Caption 2 points at image 3, but there are 3 images"),
        ([0, -1, 1], "Caption 1 points at image -1"),
        ([0, 1], "there are 3 captions"),
        ([[0], [1], [2]], "there are 3 captions"),
        ([0.0, 1.0, 2.0], "whole numbers"),
    ],
)
def test_wrong_ground_truth_is_named(caption_image: list, message: str) -> None:
    for call in (
        lambda: evaluate(torch.eye(3), torch.eye(3), caption_image),
        lambda: evaluate_scores(torch.eye(3), caption_image),
    ):
        with pytest.raises(GroundTruthError, match=message) as caught:
            call()
        assert isinstance(caught.value, UserError)
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("positives", "message"),
    [([0], "1 queries"), ([0, 9], "names gallery row 9"), ([[0], []], "1 queries have no")],
)
def test_positives_that_do_not_fit_are_named(positives: list, message: str) -> None:
    given_as = positives if isinstance(positives[-1], list) else np.array(positives)
    with pytest.raises(GroundTruthError, match=message):
        direction_metrics(torch.eye(2), given_as)


def test_wrong_embeddings_are_named() -> None:
    good, index = torch.eye(3), np.arange(3)
    zero, nan = good.clone(), good.clone()
    zero[1] = 0
    nan[2, 0] = float("nan")
    with pytest.raises(EmbeddingError, match="Image embedding 1 is all zero"):
        evaluate(zero, good, index)
    with pytest.raises(EmbeddingError, match="Caption embedding 1 is all zero"):
        evaluate(good, zero, index)
    with pytest.raises(EmbeddingError, match="Caption embedding 2 is not finite"):
        evaluate(good, nan, index)
    with pytest.raises(EmbeddingError, match="same width"):
        evaluate(good, torch.ones(3, 4), index)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    scores = torch.eye(3)
    scores[1, 2] = bad
    with pytest.raises(EmbeddingError, match="NaN or"):
        evaluate_scores(scores, np.arange(3))


@pytest.mark.parametrize("ks", [(), (0,), (1.5,), (-1, 1)])
def test_ks_must_be_positive_whole_numbers(ks: tuple) -> None:
    with pytest.raises(ValueError, match="positive whole"):
        evaluate(torch.eye(3), torch.eye(3), np.arange(3), ks)


def test_scores_must_be_a_matrix() -> None:
    with pytest.raises(EmbeddingError, match="images, captions"):
        evaluate_scores(torch.ones(3), np.arange(3))
    with pytest.raises(EmbeddingError, match="queries, gallery"):
        direction_metrics(torch.ones(3), np.arange(3))
