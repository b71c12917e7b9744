"""What is compiled gives the plain model's numbers, and meets few shapes."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from cookie.compiling import IMAGES, CompiledEncoder, CompiledScorer, InFixedBatches, compiled
from cookie.compiling import compiler_problem as problem_of
from cookie.errors import UserError
from cookie.interfaces import DualEncoder, ImageBatch, PairScorer, TextBatch
from tests.bench.toy import ToyCorpus, ToyEncoder, ToyScorer
from tests.cookie.test_model import build, images, texts

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(problem_of(CPU) is not None, reason="there is no compiler")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace functions as the compiler would, but run what was traced as it is."""
    compile_ = torch.compile
    torch._dynamo.reset()

    def trace(function: Any, **settings: Any) -> Any:  # noqa: ANN401
        return compile_(function, backend="eager", **(settings | {"mode": None}))

    monkeypatch.setattr(torch, "compile", trace)


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave functions as they are."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


@needs_compiler
def test_compiled_texts_are_the_plain_ones_and_one_program_serves_all_lengths():
    model = build()
    torch._dynamo.reset()
    ready = CompiledEncoder(model)
    assert isinstance(ready, DualEncoder)
    with torch.inference_mode(), torch.compiler.set_stance("default"):
        ready.encode_texts(texts())
        with torch.compiler.set_stance("fail_on_recompile"):
            for lengths in ((6, 2, 3), (9, 8, 7, 4, 2), (5, 5)):
                query = texts(1, lengths)
                torch.testing.assert_close(ready.encode_texts(query), model.encode_texts(query))


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("rows", [1, 5])
def test_the_encoder_traces_as_a_whole(rows: int):
    model = build()
    ready = CompiledEncoder(model)
    pictures, captions = images(rows=rows), texts(lengths=tuple(range(2, 2 + rows)))
    with torch.inference_mode():
        torch.testing.assert_close(ready.encode_images(pictures), model.encode_images(pictures))
        torch.testing.assert_close(ready.encode_texts(captions), model.encode_texts(captions))


@pytest.mark.usefixtures("traced")
def test_the_scorer_gives_the_plain_scores():
    corpus, scorer = ToyCorpus(), ToyScorer()
    ready = CompiledScorer(scorer)
    assert isinstance(ready, PairScorer)
    rows = torch.arange(5).numpy()
    with torch.inference_mode():
        states = ready.prepare_images(corpus.images(rows)), ready.prepare_texts(corpus.texts(rows))
        expected = scorer.score_pairs(
            scorer.prepare_images(corpus.images(rows)), scorer.prepare_texts(corpus.texts(rows))
        )
        torch.testing.assert_close(ready.score_pairs(*states), expected)


def test_a_lone_pair_needs_no_program_of_its_own(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> Tensor:
        raise AssertionError("compiled")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: refuse)
    corpus, scorer = ToyCorpus(), ToyScorer()
    one = torch.arange(1).numpy()
    states = (
        scorer.prepare_images(corpus.images(one)),
        scorer.prepare_texts(corpus.texts(one)),
    )
    assert torch.equal(CompiledScorer(scorer).score_pairs(*states), scorer.score_pairs(*states))
    with pytest.raises(AssertionError, match="compiled"):
        CompiledScorer(scorer).prepare_texts(corpus.texts(one))


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("kind", ["pixels", "tokens"])
@pytest.mark.parametrize("rows", [1, IMAGES["cpu"], 2 * IMAGES["cpu"] + 3])
def test_images_come_in_batches_of_one_size(rows: int, kind: str):
    met = list[int]()

    def double(given: ImageBatch) -> Tensor:
        assert (given.pixels is not None) == (kind == "pixels")
        met.append(len(given))
        return 2 * given.data

    data = torch.arange(6 * rows).view(rows, 3, 2).float()
    found = InFixedBatches(double, CPU)(ImageBatch(**{kind: data}))
    assert torch.equal(found, 2 * data)
    assert set(met) == {IMAGES["cpu"]}
    assert len(met) == -(-rows // IMAGES["cpu"])


@pytest.mark.usefixtures("untouched")
def test_large_photographs_come_in_smaller_batches():
    met = list[int]()

    def means(given: ImageBatch) -> Tensor:
        met.append(len(given))
        return given.data.mean(dim=(1, 2, 3))

    pictures = ImageBatch(torch.rand(23, 3, 224, 224))
    torch.testing.assert_close(
        InFixedBatches(means, CPU)(pictures), pictures.data.mean(dim=(1, 2, 3))
    )
    assert met == [10, 10, 10]


def test_the_model_is_kept_for_its_parameters():
    encoder = ToyEncoder()
    held = CompiledEncoder(encoder).parameters()
    assert [id(one) for one in held] == [id(one) for one in encoder.parameters()]


def test_what_cannot_be_compiled_is_one_sentence():
    def breaks(given: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return given

    def runs_out(_: Tensor) -> Tensor:
        raise RuntimeError("out of memory")

    torch._dynamo.reset()
    with pytest.raises(UserError, match="could not compile 'breaks': ") as caught:
        compiled(breaks, fullgraph=True, backend="eager")(torch.zeros(1))
    assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="out of memory"):
        compiled(torch.compiler.disable(runs_out), backend="eager")(torch.zeros(1))


@pytest.mark.parametrize(("device", "missing"), [("cpu", "C++ compiler"), ("cuda", "triton")])
def test_no_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch, device: str, missing: str):
    monkeypatch.setattr("cookie.compiling.shutil.which", lambda _: None)
    monkeypatch.setattr("cookie.compiling.find_spec", lambda _: None)
    sentence = problem_of(torch.device(device))
    assert sentence is not None
    assert missing in sentence
    assert sentence.count(".") == 1
    with pytest.raises(UserError, match=missing.replace("+", r"\+")):
        InFixedBatches(lambda given: given.data, torch.device(device))


def test_a_compiler_named_by_the_user_is_enough(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "my-compiler")
    monkeypatch.setattr(
        "cookie.compiling.shutil.which", lambda name: name if name == "my-compiler" else None
    )
    assert problem_of(CPU) is None


@needs_gpu
def test_a_caption_on_a_gpu_is_a_replayed_graph():
    model = build().cuda()
    ready = CompiledEncoder(model)
    queries = [texts(seed, (length,)).to("cuda") for seed, length in enumerate((5, 7, 5))]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):  # warm-up, recording, replay
            found = [ready.encode_texts(query) for query in queries]
        expected = [model.encode_texts(query) for query in queries]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    with torch.profiler.profile() as seen, torch.inference_mode():
        ready.encode_texts(queries[0])
    assert any("GraphLaunch" in event.name for event in seen.events())


def test_texts_of_one_caption_take_the_graph_where_there_is_one():
    ready, query = (
        CompiledEncoder(ToyEncoder()),
        TextBatch(torch.ones(1, 3).long(), torch.ones(1, 3) > 0),
    )
    taken = list[TextBatch]()

    def graph(given: TextBatch) -> Tensor:
        taken.append(given)
        return torch.zeros(1, 8)

    ready._one = graph
    first = ready.encode_texts(query)
    assert taken == [query]
    assert first.data_ptr() != ready.encode_texts(query).data_ptr()
