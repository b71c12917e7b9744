"""Sampled queries get the ranks of a full evaluation, named by their rows in the data set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.pair_states import naive_scores, prepare_corpus
from bench.cells.accuracy import _metrics, _sampled, pair_metrics, samples
from bench.cells.sampling import Sample
from bench.cells.train import parameters, validation_sample
from cookie.retrieval import evaluate_scores
from tests.bench.toy import ToyCorpus, ToyEncoder, ToyScorer

CORPUS = ToyCorpus(images=30)
CAPTIONS = len(CORPUS.captions)


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


@pytest.mark.parametrize("affordable", [0.0, 30 * CAPTIONS - 1, 30 * CAPTIONS])
def test_all_pairs_are_scored_where_they_are_affordable(affordable: float) -> None:
    scorer = ToyScorer()
    states = prepare_corpus(scorer, CORPUS, precision="float32", progress=False)
    found, sampled = pair_metrics(scorer, CORPUS, states, affordable, 0, "float32")
    assert sampled == (affordable < 30 * CAPTIONS)
    whole = evaluate_scores(
        naive_scores(scorer, CORPUS.images(np.arange(30)), CORPUS.texts(np.arange(CAPTIONS))),
        CORPUS.caption_image,
    )
    assert found.i2t.ranks.tolist() == whole.i2t.ranks[found.i2t.queries].tolist()
    assert found.t2i.ranks.tolist() == whole.t2i.ranks[found.t2i.queries].tolist()
    assert (len(found.i2t.ranks) + len(found.t2i.ranks) < 30 + CAPTIONS) == sampled


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
    assert [len(set(queries)) for queries in first] == [20, 20], "as many images as captions"
    assert [len(queries) for queries in validation_sample(CORPUS, 10_000)] == [30, CAPTIONS]
    assert [len(queries) for queries in validation_sample(CORPUS, 1)] == [1, 1]


def test_parameters_that_learn_are_counted_apart() -> None:
    module = ToyEncoder()
    module.image.requires_grad_(requires_grad=False)
    assert parameters(module) == {
        "parameters": 98 * 8,
        "trainable_parameters": 50 * 8,
        "parameters_above_encoders": None,
    }
