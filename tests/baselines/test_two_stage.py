"""Shortlist and re-rank: the dual encoder chooses who is seen, the pair scorer alone the order."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.pair_scoring import score_matrix
from baselines.single_stream import SingleStream
from baselines.two_stage import TwoStage, rerank, scatter_scores
from cookie.interfaces import ImageBatch, ImageState, TextBatch, TextState, TopK
from cookie.retrieval.topk import topk
from tests.baselines.material import (
    VOCABULARY,
    NumberScorer,
    make_images,
    make_texts,
    numbered_states,
    small_config,
)


class PooledDual:
    """A dual encoder with nothing to learn: random projections of the pooled input."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(5)
        self.image = torch.randn(24, 8, generator=generator)
        self.text = torch.randn(VOCABULARY, 8, generator=generator)

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return unit vectors."""
        return F.normalize(images.data.mean(dim=1) @ self.image, dim=-1)

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return unit vectors."""
        return F.normalize((self.text[texts.ids] * texts.mask[..., None]).sum(dim=1), dim=-1)


def build(shortlist: int) -> TwoStage:
    torch.manual_seed(0)
    scorer = SingleStream(small_config(), VOCABULARY).eval()
    return TwoStage(PooledDual(), scorer, shortlist, precision="float32")


IMAGES, TEXTS = make_images(7), make_texts([3, 5, 4, 6])


def full_scores(system: TwoStage) -> Tensor:
    with torch.inference_mode():
        states = system.scorer.prepare_images(IMAGES), system.scorer.prepare_texts(TEXTS)
    return score_matrix(system.scorer, *states, precision="float32")


@pytest.mark.parametrize("k", [1, 3, 7])
def test_a_shortlist_of_everything_is_the_full_single_stream(k: int):
    system = build(shortlist=7)
    wanted = full_scores(system).T.topk(k, dim=1)
    system.index(IMAGES)
    found = system.search(TEXTS, k)
    assert torch.equal(found.indices, wanted.indices)
    assert torch.allclose(found.scores, wanted.values, atol=1e-5)


@pytest.mark.parametrize("shortlist", [1, 2, 4])
def test_only_the_shortlist_is_ranked_and_by_the_pair_scorer(shortlist: int):
    system = build(shortlist)
    scores, dual = full_scores(system).T, system.dual
    similarity = dual.encode_texts(TEXTS) @ dual.encode_images(IMAGES).T
    system.index(IMAGES)
    found = system.search(TEXTS, 10)
    assert found.indices.shape == (4, shortlist)
    for query in range(4):
        seen = similarity[query].topk(shortlist).indices.tolist()
        wanted = sorted(seen, key=lambda image: -float(scores[query, image]))
        assert found.indices[query].tolist() == wanted


def test_images_may_be_the_queries():
    system = build(shortlist=4)
    wanted = full_scores(system).topk(2, dim=1)
    system.index(TEXTS)
    found = system.search(IMAGES, 2)
    assert torch.equal(found.indices, wanted.indices)


def test_re_ranking_by_hand_in_both_directions():
    prepared = numbered_states(6, [3, 2, 4])
    shortlist = TopK(torch.zeros(3, 2), torch.tensor([[1, 5], [4, 0], [2, 3]]))
    found = rerank(NumberScorer(), *prepared, shortlist, "t2i")
    assert found.indices.tolist() == [[5, 1], [4, 0], [3, 2]]
    assert found.scores.tolist() == [[5000, 1000], [4001, 1], [3002, 2002]]
    shortlist = TopK(torch.zeros(2, 2), torch.tensor([[0, 2], [1, 0]]))
    found = rerank(NumberScorer(), *prepared, shortlist, "i2t", token_budget=1)
    assert found.indices.tolist() == [[2, 0], [1, 0]]
    assert found.scores.tolist() == [[2, 0], [1001, 1000]]


def test_equal_scores_keep_the_order_of_the_shortlist():
    class Indifferent(NumberScorer):
        def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
            """Return the same score for all."""
            return torch.zeros(len(images.tokens))

    shortlist = TopK(torch.zeros(1, 4), torch.tensor([[3, 0, 5, 1]]))
    found = rerank(Indifferent(), *numbered_states(6, [3]), shortlist, "t2i")
    assert found.indices.tolist() == [[3, 0, 5, 1]]


def test_rows_outside_the_shortlist_are_minus_infinity():
    found = TopK(torch.tensor([[2.0, 1.0], [5.0, 4.0]]), torch.tensor([[3, 0], [1, 2]]))
    low = -math.inf
    assert scatter_scores(found, 4).tolist() == [[1.0, low, low, 2.0], [low, 5.0, 4.0, low]]


def test_the_shortlist_of_the_search_is_that_of_topk():
    system = build(shortlist=3)
    first = topk(system.dual.encode_texts(TEXTS), system.dual.encode_images(IMAGES), 3)
    system.index(IMAGES)
    found = system.search(TEXTS, 3)
    assert torch.equal(found.indices.sort(dim=1).values, first.indices.sort(dim=1).values)


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        build(shortlist=0)
    system = build(shortlist=2)
    with pytest.raises(ValueError, match="index"):
        system.search(TEXTS, 1)
    system.index(IMAGES)
    with pytest.raises(ValueError, match="different modalities"):
        system.search(IMAGES, 1)
