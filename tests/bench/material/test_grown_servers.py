"""A grown server with its own gallery answers as it did before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.material.grown_servers import GrownPair, bytes_per_image, grow
from bench.material.servers import DualServer, PairServer, TwoStageServer
from cookie.interfaces import Searcher, TopK
from cookie.retrieval.search import FlatIndex
from tests.bench.toy import WIDTH, ToyCorpus, ToyEncoder, ToyScorer

CORPUS = ToyCorpus(images=12)
QUERIES = CORPUS.texts(np.arange(len(CORPUS.captions)))


def servers() -> dict[str, DualServer | PairServer | TwoStageServer]:
    dual, pair = DualServer(ToyEncoder(), "float32"), PairServer(ToyScorer(1), "float32")
    found = {"dual": dual, "pair": pair, "two-stage": TwoStageServer(dual, pair, 4)}
    for server in found.values():
        server.index(CORPUS)
    return found


def own_gallery() -> FlatIndex:
    index, server = FlatIndex(), DualServer(ToyEncoder(), "float32")
    server.index(CORPUS)
    index.index(server.embeddings)
    return index


def same(first: TopK, second: TopK) -> bool:
    return torch.equal(first.indices, second.indices) and torch.allclose(
        first.scores, second.scores, atol=1e-6
    )


@pytest.mark.parametrize("name", ["dual", "pair", "two-stage"])
def test_with_its_own_gallery_a_server_answers_as_before(name: str) -> None:
    server = servers()[name]
    grown = grow(server, own_gallery(), CORPUS.image_count)
    assert same(grown.search(QUERIES, 3), server.search(QUERIES, 3))


def test_a_larger_gallery_repeats_the_images() -> None:
    pair = servers()["pair"]
    assert isinstance(pair, PairServer)
    whole = pair.search(QUERIES, 12)
    grown = GrownPair(pair, 30).search(QUERIES, 30)
    assert grown.indices.sort(dim=1).values.equal(torch.arange(30).expand(len(QUERIES), 30))
    copies = torch.bincount(torch.arange(30) % 12)  # how often each image is there
    for row in range(len(QUERIES)):
        expected = torch.repeat_interleave(whole.scores[row], copies[whole.indices[row]])
        assert torch.allclose(grown.scores[row], expected, atol=1e-6)


def test_a_part_of_the_images_is_all_that_is_looked_at() -> None:
    pair = servers()["pair"]
    assert isinstance(pair, PairServer)
    assert GrownPair(pair, 5).search(QUERIES, 30).indices.max() == 4


def test_a_large_random_gallery_is_searched_by_all() -> None:
    index = FlatIndex()
    index.index(torch.nn.functional.normalize(torch.randn(500, WIDTH), dim=1))
    for server in servers().values():
        found = grow(server, index, 500).search(QUERIES, 3)
        assert found.indices.shape == (len(QUERIES), 3)
        assert bool((found.scores[:, :-1] >= found.scores[:, 1:]).all())


def test_bytes_of_an_image() -> None:
    found = servers()
    state = WIDTH * 4  # one float32 token
    assert bytes_per_image(found["dual"], 16) == 16
    assert bytes_per_image(found["pair"], 16) == state
    assert bytes_per_image(found["two-stage"], 16) == 16 + state


def test_a_foreign_server_is_refused() -> None:
    foreign: Searcher = FlatIndex()
    with pytest.raises(TypeError, match="FlatIndex"):
        grow(foreign, FlatIndex(), 3)
