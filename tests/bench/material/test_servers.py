"""What is timed gives the right answers."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from baselines.pair_states import naive_scores
from bench.material.servers import (
    DualServer,
    PairServer,
    Queries,
    TwoStageServer,
    image_batches,
    modules_of,
    warm_up,
)
from bench.trial import Trial
from cookie.interfaces import DualEncoder, TextBatch
from cookie.training.precision import Precision
from tests.bench.toy import ToyCorpus, ToyEncoder, ToyScorer

CORPUS = ToyCorpus(images=100)
EVERYTHING = np.arange(100)
ASKED = np.array([3, 0, 77])


def test_batches_cover_every_image_once_in_order() -> None:
    joined = torch.cat([batch.data for batch in image_batches(CORPUS)])
    assert torch.equal(joined, CORPUS.images(EVERYTHING).data)
    assert len(list(image_batches(CORPUS))) == 2


def test_dual_server_finds_the_largest_inner_products() -> None:
    encoder = ToyEncoder()
    server = DualServer(encoder, "float32")
    server.index(CORPUS)
    found = server.search(CORPUS.texts(ASKED), 10)
    images = encoder.encode_images(CORPUS.images(EVERYTHING))
    expected = (encoder.encode_texts(CORPUS.texts(ASKED)) @ images.T).topk(10, dim=1)
    assert torch.equal(found.indices, expected.indices)
    torch.testing.assert_close(found.scores, expected.values.detach())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_compiled_server_finds_what_the_plain_one_finds(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = DualServer(ToyEncoder(), precision)
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    ready = DualServer(ToyEncoder(), precision, compiled=True)
    for server in (plain, ready):
        server.index(CORPUS)
    queries = CORPUS.texts(ASKED)
    assert torch.equal(ready.search(queries, 10).indices, plain.search(queries, 10).indices)
    assert len(list(modules_of(ready).parameters())) == len(list(modules_of(plain).parameters()))


def test_only_a_compiled_reader_is_asked_everything_beforehand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    queries, asked = Queries(CORPUS, 4), list[TextBatch]()
    for compiled in (False, True):
        server = DualServer(ToyEncoder(), "float32", compiled=compiled)
        server.index(CORPUS)
        search = server.search
        monkeypatch.setattr(server, "search", lambda q, k, s=search: (asked.append(q), s(q, k))[1])
        warm_up(server, queries, 3)
        assert len(asked) == 4 * compiled


def test_pair_server_agrees_with_the_plain_loop() -> None:
    scorer = ToyScorer()
    server = PairServer(scorer, "float32")
    server.index(CORPUS)
    found = server.search(CORPUS.texts(ASKED), 10)
    scores = naive_scores(scorer, CORPUS.images(EVERYTHING), CORPUS.texts(ASKED)).T
    expected = scores.topk(10, dim=1)
    assert torch.equal(found.indices, expected.indices)
    torch.testing.assert_close(found.scores, expected.values)


def test_two_stages_with_a_whole_shortlist_are_the_second_stage() -> None:
    scorer = ToyScorer(1)
    pair = PairServer(scorer, "float32")
    server = TwoStageServer(DualServer(ToyEncoder(), "float32"), pair, len(EVERYTHING))
    server.index(CORPUS)
    queries = CORPUS.texts(ASKED)
    assert torch.equal(server.search(queries, 10).indices, pair.search(queries, 10).indices)


def test_two_stages_return_only_what_is_on_the_shortlist() -> None:
    dual = DualServer(ToyEncoder(), "float32")
    server = TwoStageServer(dual, PairServer(ToyScorer(1), "float32"), 5)
    server.index(CORPUS)
    queries = CORPUS.texts(ASKED)
    found, first = server.search(queries, 5), dual.search(queries, 5)
    assert torch.equal(found.indices.sort(1).values, first.indices.sort(1).values)
    assert not torch.equal(found.indices, first.indices)


def test_every_server_meets_the_same_queries() -> None:
    first, second = Queries(CORPUS, 4), Queries(CORPUS, 4)
    for turn in range(9):
        assert torch.equal(first.one(turn).ids, second.one(turn).ids)
        assert torch.equal(first.one(turn).ids, first.one(turn + 4).ids)
    assert len(first.batch(9)) == 9
    assert len({tuple(first.one(turn).ids[0].tolist()) for turn in range(4)}) > 1


def test_modules_are_counted_once_each() -> None:
    encoder, scorer = ToyEncoder(), ToyScorer()
    both = TwoStageServer(DualServer(encoder, "float32"), PairServer(scorer, "float32"), 5)
    assert list(modules_of(both)) == [encoder, scorer]
    with pytest.raises(TypeError):
        modules_of(object())  # type: ignore[arg-type]


@pytest.mark.parametrize("system", ["dual_stream", "cookie"])
def test_queries_are_read_with_the_numbers_of_the_trained_model(
    system: str, tmp_path: Path
) -> None:
    trial = Trial(tmp_path)
    model = cast(DualEncoder, trial.model(system, "smoke", "cpu"))
    server, queries = DualServer(model, "bfloat16"), Queries(trial.corpus("smoke", "cpu")).batch(3)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = model.encode_texts(queries)
    assert server.reader is not model
    assert torch.equal(server.encode(queries), expected)
