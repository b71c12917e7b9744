"""Samples of queries: unbiased, nested, named by their rows in the data set."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.pair_states import naive_scores, prepare_corpus
from bench.cells.accuracy import Sample, _metrics, _sampled, draw, samples
from bench.cells.train import parameters, validation_sample
from cookie.retrieval import evaluate_scores
from tests.bench.toy import ToyCorpus, ToyEncoder, ToyScorer

CORPUS = ToyCorpus(images=30)
CAPTIONS = len(CORPUS.captions)


@given(st.floats(0, 5000))
def test_a_sample_keeps_to_what_is_affordable(affordable: float) -> None:
    sample = draw(CORPUS, affordable, (CAPTIONS, 30), 0)
    pairs = len(sample.images) * CAPTIONS, len(sample.captions) * 30
    if sample.whole:
        assert (len(sample.images), len(sample.captions)) == (30, CAPTIONS)
    if len(sample.images) > 2 and len(sample.captions) > 2:
        assert sum(pairs) <= affordable
    assert len(sample.images) >= 2
    assert len(set(sample.images.tolist())) == len(sample.images)


def test_directions_share_the_pairs_as_neyman_says() -> None:
    """Among all splits of the pairs, none gives a sum of two rates with a smaller variance."""
    affordable, costs = 900.0, (CAPTIONS, 30)

    def variance(share: float) -> float:
        return costs[0] / (share * affordable) + costs[1] / ((1 - share) * affordable)

    sample = draw(CORPUS, affordable, costs, 0)
    chosen = 1 / len(sample.images) + 1 / len(sample.captions)
    best = min(variance(share) for share in np.linspace(0.01, 0.99, 99))
    assert chosen == pytest.approx(best, rel=0.1)


def test_a_larger_sample_holds_the_smaller_one() -> None:
    small, large = (draw(CORPUS, pairs, (CAPTIONS, 30), 0) for pairs in (500, 1500))
    assert set(small.images) < set(large.images)
    assert set(small.captions) < set(large.captions)
    assert not large.whole


def test_queries_are_drawn_evenly() -> None:
    counts = np.zeros(CAPTIONS)
    for seed in range(400):
        counts[draw(CORPUS, 600, (CAPTIONS, 30), seed).captions] += 1
    share = counts / 400
    expected = len(draw(CORPUS, 600, (CAPTIONS, 30), 0).captions) / CAPTIONS
    assert share.mean() == pytest.approx(expected)
    assert np.abs(share - expected).max() < 5 * np.sqrt(expected * (1 - expected) / 400)


def test_sampled_queries_get_the_ranks_of_a_full_evaluation() -> None:
    scorer = ToyScorer()
    everything = np.arange(30), np.arange(CAPTIONS)
    scores = naive_scores(scorer, CORPUS.images(everything[0]), CORPUS.texts(everything[1]))
    whole = evaluate_scores(scores, CORPUS.caption_image)
    sample = Sample(np.array([2, 11, 29]), np.array([0, 7, 31, 44]), whole=False)
    states = prepare_corpus(scorer, CORPUS, precision="float32", progress=False)
    found = _sampled(scorer, CORPUS, states, sample, "float32")
    assert found.i2t.queries.tolist() == [2, 11, 29]
    assert found.i2t.ranks.tolist() == whole.i2t.ranks[[2, 11, 29]].tolist()
    assert found.t2i.queries.tolist() == [0, 7, 31, 44]
    assert found.t2i.ranks.tolist() == whole.t2i.ranks[[0, 7, 31, 44]].tolist()


def test_samples_name_the_image_of_every_query() -> None:
    scores = torch.randn(30, CAPTIONS, generator=torch.Generator().manual_seed(0))
    sample = Sample(np.array([4, 9]), np.array([1, 50]), whole=False)
    found = samples(
        _metrics(CORPUS, sample, scores[sample.images], scores.T[sample.captions]),
        CORPUS.caption_image,
    )
    assert found["i2t"]["query"] == found["i2t"]["image"] == [4, 9]
    assert found["t2i"]["query"] == [1, 50]
    assert found["t2i"]["image"] == CORPUS.caption_image[[1, 50]].tolist()


def test_validation_asks_the_same_queries_every_time() -> None:
    first, second = validation_sample(CORPUS, 20), validation_sample(CORPUS, 20)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    images, captions = first
    assert len(captions) == 20
    assert len(images) * CAPTIONS == pytest.approx(20 * 30, abs=CAPTIONS / 2)
    assert len(validation_sample(CORPUS, 10_000)[1]) == CAPTIONS
    assert len(validation_sample(CORPUS, 1)[0]) == 1


def test_parameters_that_learn_are_counted_apart() -> None:
    module = ToyEncoder()
    module.image.requires_grad_(requires_grad=False)
    assert parameters(module) == {
        "parameters": 98 * 8,
        "trainable_parameters": 50 * 8,
        "parameters_above_encoders": None,
    }
