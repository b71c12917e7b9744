"""An accuracy cell: R@K of one trained system on the test split, with every query's rank."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from torch import Tensor

from baselines.pair_scoring import score_matrix, score_rows
from baselines.pair_states import Prepared
from baselines.score_shards import ScoreShards
from bench.cells.examples import examples
from bench.cells.floor import floor_metrics
from bench.cells.kept_scores import kept_scores
from bench.cells.pairs import pair_rate, prepared, reranked
from bench.cells.sampling import Sample, draw, pairs_of_all
from bench.material.workshop import Workshop, encoded
from bench.systems import systems
from cookie.interfaces import (
    Corpus,
    DualEncoder,
    IndexArray,
    PairScorer,
)
from cookie.retrieval import (
    DirectionMetrics,
    RetrievalMetrics,
    direction_metrics,
    evaluate,
    evaluate_scores,
)
from cookie.retrieval.positives import image_positives
from cookie.training.precision import Precision


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Evaluate ``system`` on the test split."""
    metrics, sampled = _FAMILIES[systems[system].family](workshop, system, seed, protocol)
    corpus = workshop.corpora()["test"]
    values: dict[str, Any] = {
        "metrics": metrics.to_dict(),
        "sampled": sampled,
        "gallery": {"images": corpus.image_count, "captions": len(corpus.captions)},
        "queries": {"i2t": len(metrics.i2t.ranks), "t2i": len(metrics.t2i.ranks)},
    }
    if workshop.dataset.name == "scenes" and systems[system].parts:
        values["examples"] = examples(workshop, system, seed, protocol)
    return values, samples(metrics, corpus.caption_image)


def samples(metrics: RetrievalMetrics, caption_image: IndexArray) -> dict[str, Any]:
    """Return every query with the image that it belongs to and the rank of its first answer."""
    owners = {"i2t": metrics.i2t.queries, "t2i": caption_image[metrics.t2i.queries]}
    return {
        name: {
            "query": found.queries.tolist(),
            "image": owners[name].tolist(),
            "rank": found.ranks.tolist(),
        }
        for name, found in (("i2t", metrics.i2t), ("t2i", metrics.t2i))
    }


Evaluated = tuple[RetrievalMetrics, bool]


def _floor(workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]) -> Evaluated:
    return floor_metrics(workshop), False


def _dual(workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]) -> Evaluated:
    part = systems[system].parts[0]
    module = workshop.trained(part, seed)
    corpus = workshop.corpora_of(part, module)["test"]
    found = encoded(cast(DualEncoder, module), corpus, workshop.device, workshop.precision)
    return evaluate(found.images, found.captions, corpus.caption_image), False


def _pair(workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]) -> Evaluated:
    scorer, corpus, states = prepared(workshop, systems[system].parts[0], seed)
    shards = kept_scores(workshop, "accuracy", system, seed, protocol)
    rate = shards.remember("pairs_per_second", lambda: pair_rate(workshop, scorer, states))
    affordable, precision = rate * protocol["seconds"], workshop.precision
    return pair_metrics(
        scorer, corpus, states, affordable, protocol["sample_seed"], precision, shards
    )


def pair_metrics(
    scorer: PairScorer,
    corpus: Corpus,
    states: Prepared,
    affordable: float,
    sample_seed: int,
    precision: Precision,
    shards: ScoreShards | None = None,
) -> Evaluated:
    """Return the metrics, and whether they are of a sample of the queries.

    Args:
        scorer: its ``prepare_*`` made the states.
        corpus: gives the ground truth.
        states: of all images and captions.
        affordable: pairs that may be scored; all are, where they are not more.
        sample_seed: of the queries that are drawn otherwise.
        precision: of the joint layers.
        shards: where scores are kept until all are there; None for nowhere.
    """
    if corpus.image_count * len(corpus.captions) <= affordable:
        scores = score_matrix(scorer, *states, precision=precision, progress=True, shards=shards)
        return evaluate_scores(scores, corpus.caption_image), False
    sample = draw(corpus, affordable, pairs_of_all(corpus), sample_seed)
    return _sampled(scorer, corpus, states, sample, precision, shards), True


def _sampled(
    scorer: PairScorer,
    corpus: Corpus,
    states: Prepared,
    sample: Sample,
    precision: Precision,
    shards: ScoreShards | None = None,
) -> RetrievalMetrics:
    score = partial(score_rows, scorer, *states, precision=precision, progress=True, shards=shards)
    i2t = score(queries=sample.images, direction="i2t")
    t2i = score(queries=sample.captions, direction="t2i")
    return _metrics(corpus, sample, i2t, t2i)


def _metrics(corpus: Corpus, sample: Sample, i2t: Tensor, t2i: Tensor) -> RetrievalMetrics:
    """Return the metrics of a sample's scores against the full gallery, queries by their rows."""
    truth = image_positives(corpus.caption_image, corpus.image_count).select(sample.images)
    owners = corpus.caption_image[sample.captions]
    return RetrievalMetrics(
        named(direction_metrics(i2t, truth), sample.images),
        named(direction_metrics(t2i, owners), sample.captions),
    )


def named(metrics: DirectionMetrics, queries: IndexArray) -> DirectionMetrics:
    """Return ``metrics`` with the queries' rows in the data set, not in the sample."""
    return dataclasses.replace(metrics, queries=queries[metrics.queries])


def _two_stage(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> Evaluated:
    dual, single = systems[system].parts
    encoder = cast(DualEncoder, workshop.trained(dual, seed))
    embeddings = encoded(encoder, workshop.corpora()["test"], workshop.device, workshop.precision)
    scorer, corpus, states = prepared(workshop, single, seed)
    precision = workshop.precision
    shards = kept_scores(workshop, "accuracy", system, seed, protocol)
    rate = shards.remember("pairs_per_second", lambda: pair_rate(workshop, scorer, states))
    affordable = rate * protocol["seconds"]
    size = protocol["shortlist"]
    sample = draw(corpus, affordable, (size, size), protocol["sample_seed"])
    i2t = reranked(scorer, states, embeddings, sample.images, size, "i2t", precision, shards)
    t2i = reranked(scorer, states, embeddings, sample.captions, size, "t2i", precision, shards)
    return _metrics(corpus, sample, i2t, t2i), not sample.whole


_FAMILIES: Mapping[str, Callable[[Workshop, str, int, Mapping[str, Any]], Evaluated]] = {
    "floor": _floor,
    "dual": _dual,
    "pair": _pair,
    "two-stage": _two_stage,
}
