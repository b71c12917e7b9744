"""A shortlists cell: accuracy of re-ranking at every length of the shortlist.

A shortlist of k is the beginning of any longer one, so each pair is scored once, at the greatest
length, and every smaller k is read off it. Behind the shortlist a query's answers stay in the
dual encoder's order: k = 1 is the dual encoder alone, the whole gallery the pair scorer alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from baselines.pair_scoring import Direction, score_list, score_matrix, score_rows
from baselines.pair_states import Prepared
from baselines.score_shards import ScoreShards
from baselines.two_stage import scatter_scores
from bench.cells.kept_scores import kept_scores
from bench.cells.pairs import pair_rate, prepared
from bench.cells.sampling import Sample, draw, pairs_of_all
from bench.findings.shortlist_evidence import ALONE, WHOLE
from bench.material.workshop import Workshop, encoded
from bench.systems import systems
from cookie.encoding import Embeddings
from cookie.interfaces import Corpus, DualEncoder, IndexArray, PairScorer, TopK
from cookie.retrieval import direction_metrics, evaluate, topk
from cookie.retrieval.positives import PositivesLike, image_positives
from cookie.retrieval.products import exact_products
from cookie.training.precision import Precision

DIRECTIONS: tuple[Direction, ...] = ("i2t", "t2i")


def lengths(gallery: int) -> list[int]:
    """Return the shortlist lengths: the powers of two below the number of images."""
    return [2**power for power in range(max(1, gallery - 1).bit_length()) if 2**power < gallery]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The best gallery rows of some queries, best first by the dual encoder, all scored.

    Attributes:
        queries: (Q,) rows of the queries in the data set.
        scores: (Q, K) of the pair scorer. indices: (Q, K) gallery rows.
        gallery: G, K at most.
    """

    queries: IndexArray
    scores: Tensor
    indices: Tensor
    gallery: int

    def ranks(self, k: int, truth: PositivesLike, alone: IndexArray) -> IndexArray:
        """Return (Q,) ranks of the first positive when the first ``k`` are re-ranked.

        Args:
            k: at most K.
            truth: the queries' positives, in their order; at least one each.
            alone: (Q,) ranks by the dual encoder, kept where no positive is among the first k.
        """
        cut = TopK(self.scores[:, :k], self.indices[:, :k])
        found = direction_metrics(scatter_scores(cut, self.gallery), truth).ranks
        return np.where(found < self.gallery, found, alone)


@dataclass(frozen=True, slots=True)
class Stages:
    """Both systems' view of the test split.

    Attributes:
        alone: direction -> (queries in the data set,) dual encoder's rank of the first positive,
            -1 where there is none.
        shards: where scores are kept until all are there; None for nowhere.
    """

    corpus: Corpus
    embeddings: Embeddings
    scorer: PairScorer
    states: Prepared
    precision: Precision
    alone: Mapping[Direction, IndexArray]
    shards: ScoreShards | None = None

    def gallery(self, direction: Direction) -> Tensor:
        """Return (G, D), what the dual encoder makes of the gallery."""
        return self.embeddings.captions if direction == "i2t" else self.embeddings.images

    def first_stage(self, direction: Direction, queries: IndexArray, k: int) -> Tensor:
        """Return (Q, k) gallery rows, best first; equals by gallery row."""
        source = self.embeddings.images if direction == "i2t" else self.embeddings.captions
        gallery = self.gallery(direction)
        asked = source[torch.from_numpy(queries).to(source.device)]
        if k < len(gallery):
            return topk(asked, gallery, k).indices
        return exact_products(asked, gallery).argsort(dim=1, descending=True, stable=True)

    def truth(self, direction: Direction, queries: IndexArray) -> PositivesLike:
        """Return the positives of ``queries``, in their order."""
        owner = self.corpus.caption_image
        if direction == "t2i":
            return owner[queries]
        return image_positives(owner, self.corpus.image_count).select(queries)

    def answered(self, direction: Direction, queries: IndexArray) -> IndexArray:
        """Return those of ``queries`` that have a positive."""
        return queries[self.alone[direction][queries] >= 0]

    def everything(self, sample: Sample) -> dict[Direction, Candidates]:
        """Return the sampled queries of both directions with the whole gallery scored."""
        images = self.answered("i2t", sample.images)
        captions = self.answered("t2i", sample.captions)
        if sample.whole:  # a pair is the same in both directions
            scores = self._scored(score_matrix)
            i2t, t2i = scores[torch.from_numpy(images).to(scores.device)], scores.T
        else:
            i2t = self._scored(score_rows, images, "i2t")
            t2i = self._scored(score_rows, captions, "t2i")
        return {
            "i2t": self._ordered("i2t", images, i2t),
            "t2i": self._ordered("t2i", captions, t2i),
        }

    def _scored(self, score: Callable[..., Tensor], *pairs: IndexArray | str) -> Tensor:
        """Return the scores of ``pairs``, as one of :mod:`baselines.pair_scoring` takes them."""
        return score(
            self.scorer,
            *self.states,
            *pairs,
            precision=self.precision,
            progress=True,
            shards=self.shards,
        )

    def _ordered(self, direction: Direction, queries: IndexArray, scores: Tensor) -> Candidates:
        gallery = scores.shape[1]
        order = self.first_stage(direction, queries, gallery).to(scores.device)
        return Candidates(queries, scores.gather(1, order), order, gallery)

    def shortlisted(self, direction: Direction, queries: IndexArray, k: int) -> Candidates:
        """Return ``queries`` with their first ``k`` gallery rows scored."""
        rows = self.first_stage(direction, queries, k)
        asked = np.repeat(queries, rows.shape[1])
        found = rows.cpu().numpy().ravel()
        images, captions = (asked, found) if direction == "i2t" else (found, asked)
        scores = self._scored(score_list, images, captions)
        return Candidates(queries, scores.view(rows.shape), rows, len(self.gallery(direction)))

    def ranks(
        self, direction: Direction, candidates: Candidates, ks: Sequence[int]
    ) -> dict[str, Any]:
        """Return the queries, their images, and the ranks at every shortlist length."""
        queries = candidates.queries
        alone, truth = self.alone[direction][queries], self.truth(direction, queries)
        ranks = {str(k): candidates.ranks(k, truth, alone).tolist() for k in ks}
        if candidates.scores.shape[1] == candidates.gallery:
            ranks[WHOLE] = candidates.ranks(candidates.gallery, truth, alone).tolist()
        images = queries if direction == "i2t" else self.corpus.caption_image[queries]
        return {
            "query": queries.tolist(),
            "image": images.tolist(),
            "rank": {ALONE: alone.tolist(), **ranks},
        }


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Score the queries that fit the time against the whole gallery, the others in part.

    The first are drawn as for the single-stream's own accuracy, in the time given to accuracy;
    the rest take as long again at the longest shortlist that fits.
    """
    shards = kept_scores(workshop, "shortlists", system, seed, protocol)
    stages = dataclasses.replace(_stages(workshop, system, seed), shards=shards)
    rate = shards.remember(
        "pairs_per_second", lambda: pair_rate(workshop, stages.scorer, stages.states)
    )
    affordable = rate * protocol["seconds"]
    corpus, ks = stages.corpus, lengths(stages.corpus.image_count)
    sample = draw(corpus, affordable, pairs_of_all(corpus), protocol["sample_seed"])
    groups = [_group(stages, stages.everything(sample), ks)]
    depth = None
    if not sample.whole:
        rest = _rest(stages, sample)
        depth = _depth(affordable, rest, ks)
        kept = [k for k in ks if k <= depth]
        scored = {name: stages.shortlisted(name, rest[name], depth) for name in DIRECTIONS}
        groups.append(_group(stages, scored, kept))
    values = {
        "lengths": ks,
        "sampled": not sample.whole,
        "depth": depth,
        "gallery": {"images": corpus.image_count, "captions": len(corpus.captions)},
        "queries": [{name: len(group[name]["query"]) for name in DIRECTIONS} for group in groups],
    }
    return values, {"groups": groups}


def _stages(workshop: Workshop, system: str, seed: int) -> Stages:
    dual, single = systems[system].parts
    encoder = cast(DualEncoder, workshop.trained(dual, seed))
    own = workshop.corpora()["test"]
    embeddings = encoded(encoder, own, workshop.device, workshop.precision)
    found = evaluate(embeddings.images, embeddings.captions, own.caption_image)
    alone = {
        "i2t": _spread(found.i2t.queries, found.i2t.ranks, own.image_count),
        "t2i": _spread(found.t2i.queries, found.t2i.ranks, len(own.captions)),
    }
    scorer, corpus, states = prepared(workshop, single, seed)
    return Stages(
        corpus, embeddings, scorer, states, workshop.precision, cast(dict[Direction, Any], alone)
    )


def _spread(queries: IndexArray, ranks: IndexArray, count: int) -> IndexArray:
    """Return (count,) ranks by row of the data set, -1 where there is none."""
    spread = np.full(count, -1, dtype=np.int64)
    spread[queries] = ranks
    return spread


def _group(
    stages: Stages, scored: Mapping[Direction, Candidates], ks: Sequence[int]
) -> dict[str, Any]:
    return {name: stages.ranks(name, scored[name], ks) for name in DIRECTIONS}


def _rest(stages: Stages, sample: Sample) -> dict[Direction, IndexArray]:
    """Return the queries that are not in the sample."""
    everyone = np.arange(stages.corpus.image_count), np.arange(len(stages.corpus.captions))
    images, captions = (
        np.setdiff1d(everyone[0], sample.images),
        np.setdiff1d(everyone[1], sample.captions),
    )
    return {"i2t": stages.answered("i2t", images), "t2i": stages.answered("t2i", captions)}


def _depth(affordable: float, rest: Mapping[Direction, IndexArray], ks: Sequence[int]) -> int:
    """Return the longest of ``ks`` at which the pairs of all ``rest`` are affordable."""
    queries = max(1, sum(len(rows) for rows in rest.values()))
    return max([k for k in ks if k * queries <= affordable], default=ks[0])
