"""Every shortlist length against the plain two stages, each pair scored once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.pair_states import naive_scores, prepare_corpus
from baselines.score_shards import ScoreShards
from bench.cells import shortlists
from bench.cells.sampling import Sample
from bench.cells.shortlists import DIRECTIONS, Stages, _depth, _group, _rest, _spread, lengths
from bench.findings.shortlist_evidence import ALONE, WHOLE
from cookie.encoding import encode_corpus
from cookie.interfaces import ImageState, TextState
from cookie.retrieval import evaluate, evaluate_scores
from tests.bench.toy import ToyCorpus, ToyEncoder, ToyScorer

CORPUS = ToyCorpus(images=20)
CAPTIONS = len(CORPUS.captions)
EVERYTHING = Sample(np.arange(20), np.arange(CAPTIONS), whole=True)


class CountingScorer(ToyScorer):
    """Notes how many pairs it scored."""

    scored = 0

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Return (P,)."""
        self.scored += len(images.tokens)
        return super().score_pairs(images, texts)


def stages() -> Stages:
    embeddings = encode_corpus(ToyEncoder(), CORPUS)
    found = evaluate(embeddings.images, embeddings.captions, CORPUS.caption_image)
    scorer = CountingScorer(1)
    states = prepare_corpus(scorer, CORPUS, precision="float32", progress=False)
    return Stages(
        CORPUS,
        embeddings,
        scorer,
        states,
        "float32",
        {
            "i2t": _spread(found.i2t.queries, found.i2t.ranks, 20),
            "t2i": _spread(found.t2i.queries, found.t2i.ranks, CAPTIONS),
        },
    )


@cache
def matrices() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return (images, captions) scores of the dual encoder and of the pair scorer."""
    dual = encode_corpus(ToyEncoder(), CORPUS)
    images, texts = CORPUS.images(np.arange(20)), CORPUS.texts(np.arange(CAPTIONS))
    with torch.inference_mode():
        pair = naive_scores(ToyScorer(1), images, texts)
    first: Tensor = dual.images.double() @ dual.captions.double().T
    return first.numpy(), pair.numpy()


def oracle(direction: str, query: int, k: int) -> int:
    """Walk through one query's answers: re-ranked shortlist first, then the dual's order."""
    first, pair = matrices()
    first, pair = (first, pair) if direction == "i2t" else (first.T, pair.T)
    order = sorted(range(first.shape[1]), key=lambda g: (-first[query, g], g))
    final = sorted(order[:k], key=lambda g: (-pair[query, g], g)) + order[k:]
    owner = CORPUS.caption_image
    right = (
        [owner[g] == query for g in final]
        if direction == "i2t"
        else [owner[query] == g for g in final]
    )
    return right.index(True)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_length_against_the_plain_two_stages(direction: Any) -> None:  # noqa: ANN401
    made = stages()
    group = _group(made, made.everything(EVERYTHING), [1, 2, 3, 8, 16])[direction]
    for k in (1, 2, 3, 8, 16):
        expected = [oracle(direction, query, k) for query in group["query"]]
        assert group["rank"][str(k)] == expected


def test_the_end_points_are_the_two_systems_alone() -> None:
    made = stages()
    groups = _group(made, made.everything(EVERYTHING), [1])
    dual = evaluate(made.embeddings.images, made.embeddings.captions, CORPUS.caption_image)
    pair = evaluate_scores(torch.from_numpy(matrices()[1]), CORPUS.caption_image)
    for name in DIRECTIONS:
        ranks = groups[name]["rank"]
        assert ranks[ALONE] == ranks["1"] == getattr(dual, name).ranks.tolist()
        assert ranks[WHOLE] == getattr(pair, name).ranks.tolist()
        assert ranks[ALONE] != ranks[WHOLE]
    owners = CORPUS.caption_image[groups["t2i"]["query"]].tolist()
    assert groups["t2i"]["image"] == owners


def test_every_pair_is_scored_once() -> None:
    made = stages()
    made.everything(EVERYTHING)
    assert made.scorer.scored == 20 * CAPTIONS  # type: ignore[attr-defined]


def test_a_sample_and_the_rest_are_parts_of_the_whole() -> None:
    """Queries against the whole gallery, and the others' shortlists, have the ranks of all."""
    made = stages()
    whole = _group(made, made.everything(EVERYTHING), [1, 2, 4])
    sample = Sample(np.array([1, 7, 19]), np.array([0, 5, 30]), whole=False)
    made.scorer.scored = 0  # type: ignore[attr-defined]
    rest = _rest(made, sample)
    scored = {name: made.shortlisted(name, rest[name], 4) for name in DIRECTIONS}
    assert made.scorer.scored == 4 * (20 - 3 + CAPTIONS - 3)  # type: ignore[attr-defined]
    parts = [
        _group(made, made.everything(sample), [1, 2, 4]),
        _group(made, scored, [1, 2, 4]),
    ]
    for name in DIRECTIONS:
        for k in ("1", "2", "4"):
            found = {
                query: rank
                for part in parts
                for query, rank in zip(part[name]["query"], part[name]["rank"][k], strict=True)
            }
            expected = zip(whole[name]["query"], whole[name]["rank"][k], strict=True)
            assert found == dict(expected)
    assert WHOLE in parts[0]["i2t"]["rank"]
    assert WHOLE not in parts[1]["i2t"]["rank"]


def test_images_without_captions_are_no_queries() -> None:
    made = stages()
    made.alone["i2t"][3] = -1
    assert 3 not in made.answered("i2t", np.arange(20))
    assert len(made.answered("i2t", np.arange(20))) == 19


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (2, [1]),
        (3, [1, 2]),
        (24, [1, 2, 4, 8, 16]),
        (32, [1, 2, 4, 8, 16]),
        (33, [1, 2, 4, 8, 16, 32]),
    ],
)
def test_lengths_are_powers_of_two_below_the_gallery(images: int, expected: list[int]) -> None:
    assert lengths(images) == expected


def test_depth_keeps_to_what_is_affordable() -> None:
    rest = {"i2t": np.arange(10), "t2i": np.arange(30)}
    assert _depth(160, rest, [1, 2, 4, 8]) == 4  # type: ignore[arg-type]
    assert _depth(159, rest, [1, 2, 4, 8]) == 2  # type: ignore[arg-type]
    assert _depth(0, rest, [1, 2, 4, 8]) == 1  # type: ignore[arg-type]


class ToyWorkshop:
    """What the cell asks of a workshop."""

    device = torch.device("cpu")
    precision = "float32"

    def trained(self, part: str, seed: int) -> torch.nn.Module:
        """Return one of the two."""
        return ToyEncoder() if part == "cookie" else CountingScorer(1)

    def corpora(self) -> dict[str, ToyCorpus]:
        """Return the test split alone."""
        return {"test": CORPUS}

    def corpora_of(self, system: str, module: torch.nn.Module) -> dict[str, ToyCorpus]:
        """Return what both of them read."""
        return self.corpora()


@pytest.mark.parametrize("rate", [1e9, 600.0])
def test_the_cell(rate: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shortlists, "pair_rate", lambda *_: rate)
    monkeypatch.setattr(shortlists, "kept_scores", lambda *_: ScoreShards(tmp_path, {}))
    protocol = {"seconds": 1.0, "sample_seed": 0}
    values, raw = shortlists.run(ToyWorkshop(), "two_stage", 0, protocol)  # type: ignore[arg-type]
    assert values["lengths"] == [1, 2, 4, 8, 16]
    assert values["sampled"] == (rate < 1e6)
    assert len(raw["groups"]) == 1 + values["sampled"]
    for name, count in (("i2t", 20), ("t2i", CAPTIONS)):
        asked = [query for group in raw["groups"] for query in group[name]["query"]]
        assert sorted(asked) == list(range(count))
    if values["sampled"]:
        kept = set(raw["groups"][1]["i2t"]["rank"]) - {ALONE}
        assert kept == {str(k) for k in (1, 2, 4, 8, 16) if k <= values["depth"]}
