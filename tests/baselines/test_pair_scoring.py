"""Fast scoring of pairs: equal to the plain loop, every pair once, within its token budget."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.pair_scoring import score_list, score_matrix, score_rows
from baselines.pair_states import naive_scores, prepare_corpus
from baselines.single_stream import SingleStream
from cookie.interfaces import ImageBatch, ImageState, TextBatch, TextState
from cookie.shortage import shortages
from tests.baselines.material import (
    VOCABULARY,
    ListCorpus,
    NumberScorer,
    make_images,
    make_texts,
    numbered_states,
    small_config,
)

LENGTHS = [5, 3, 9, 3, 4, 7, 2]


def build(head: str = "product") -> SingleStream:
    torch.manual_seed(0)
    model = SingleStream(small_config(head=head, layers=2), VOCABULARY).eval()
    for parameter in model.parameters():  # or all scores would be nearly the same
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model


def states(
    model: SingleStream, images: ImageBatch, texts: TextBatch
) -> tuple[ImageState, TextState]:
    with torch.inference_mode():
        return model.prepare_images(images), model.prepare_texts(texts)


@pytest.mark.parametrize("head", ["product", "cls"])
@pytest.mark.parametrize("budget", [1, 40, 97, 10_000])
def test_scores_equal_the_plain_loop(head: str, budget: int):
    model, images, texts = build(head), make_images(4), make_texts(LENGTHS)
    wanted = naive_scores(model, images, texts)
    found = score_matrix(
        model, *states(model, images, texts), token_budget=budget, precision="float32"
    )
    assert found.dtype == torch.float32
    assert torch.allclose(found, wanted, atol=1e-4, rtol=0)
    assert float(wanted.std()) > 1e-2  # or any scores would do


def test_bfloat16_stays_near_and_is_float32_outside():
    model, images, texts = build(), make_images(4), make_texts(LENGTHS)
    prepared = states(model, images, texts)
    exact = score_matrix(model, *prepared, precision="float32")
    fast = score_matrix(model, *prepared, precision="bfloat16")
    assert fast.dtype == torch.float32
    assert 0 < float((fast - exact).abs().max()) < 0.1 * float(exact.abs().max())


@settings(deadline=None, max_examples=40)
@given(
    images=st.integers(1, 6),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    budget=st.integers(1, 120),
    data=st.data(),
)
def test_every_pair_lands_in_its_place(
    images: int, lengths: list[int], budget: int, data: st.DataObject
):
    scorer, prepared = NumberScorer(), numbered_states(images, lengths)
    rows = np.array(data.draw(st.lists(st.integers(0, images - 1), max_size=5)), dtype=np.int64)
    columns = np.array(
        data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=5)), dtype=np.int64
    )
    found = score_matrix(
        scorer, *prepared, image_indices=rows, caption_indices=columns, token_budget=budget
    )
    assert np.array_equal(found.numpy(), 1000.0 * rows[:, None] + columns)
    assert sum(pairs for pairs, _, _ in scorer.batches) == len(rows) * len(columns)
    for pairs, image_tokens, caption_tokens in scorer.batches:
        assert pairs == 1 or pairs * (image_tokens + caption_tokens) <= budget


def test_padding_is_cut_to_the_longest_caption_of_a_batch():
    scorer, prepared = NumberScorer(), numbered_states(10, [20, 2, 2, 2])
    score_matrix(scorer, *prepared, token_budget=50)  # 10 pairs of a short caption with its image
    assert [caption_tokens for _, _, caption_tokens in scorer.batches[:3]] == [2, 2, 2]
    spent = sum(pairs * (image + caption) for pairs, image, caption in scorer.batches)
    assert spent == 30 * (3 + 2) + 10 * (3 + 20)


@settings(deadline=None, max_examples=25)
@given(budget=st.integers(1, 100), data=st.data())
def test_a_list_of_pairs_keeps_its_order(budget: int, data: st.DataObject):
    scorer, prepared = NumberScorer(), numbered_states(5, LENGTHS)
    pairs = st.tuples(st.integers(0, 4), st.integers(0, len(LENGTHS) - 1))
    chosen = np.array(data.draw(st.lists(pairs, max_size=20)), dtype=np.int64).reshape(-1, 2)
    found = score_list(scorer, *prepared, chosen[:, 0], chosen[:, 1], token_budget=budget)
    assert np.array_equal(found.numpy(), 1000.0 * chosen[:, 0] + chosen[:, 1])


def test_a_sample_of_queries_meets_the_full_gallery():
    scorer, prepared = NumberScorer(), numbered_states(5, LENGTHS)
    queries = np.array([3, 0])
    captions = score_rows(scorer, *prepared, queries, "t2i")
    assert np.array_equal(captions.numpy(), 1000.0 * np.arange(5) + queries[:, None])
    images = score_rows(scorer, *prepared, queries, "i2t")
    assert np.array_equal(images.numpy(), 1000.0 * queries[:, None] + np.arange(len(LENGTHS)))


def test_scoring_keeps_no_graph_and_shows_progress_when_asked(
    capsys: pytest.CaptureFixture[str],
):
    model = build()
    prepared = states(model, make_images(2), make_texts([3, 4]))
    quiet = score_matrix(model, *prepared)
    assert not quiet.requires_grad
    assert capsys.readouterr().err == ""
    score_matrix(model, *prepared, progress=True)
    assert "pair" in capsys.readouterr().err


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_corpus_is_prepared_in_its_own_order(batch_size: int):
    model, images, texts = build(), make_images(4), make_texts(LENGTHS)
    prepared = prepare_corpus(
        model, ListCorpus(images, texts), batch_size=batch_size, precision="float32", progress=False
    )
    wanted_images, wanted_texts = states(model, images, texts)
    assert torch.allclose(prepared.images.tokens, wanted_images.tokens, atol=1e-6)
    assert torch.equal(prepared.texts.mask, wanted_texts.mask)
    real = wanted_texts.mask[..., None]
    assert torch.allclose(prepared.texts.tokens * real, wanted_texts.tokens * real, atol=1e-6)
    scores = score_matrix(model, *prepared, precision="float32")
    assert torch.allclose(scores, naive_scores(model, images, texts), atol=1e-4, rtol=0)


def test_the_plain_loop_scores_pairs_one_by_one():
    scorer = NumberScorer()
    images = ImageBatch(tokens=torch.tensor([4.0, 7.0])[:, None, None])
    mask = torch.tensor([[True, True, False], [True, True, True], [True, False, False]])
    ids = torch.tensor([[1, 9, 0], [2, 9, 9], [3, 0, 0]])
    found = naive_scores(scorer, images, TextBatch(ids, mask))
    assert found.tolist() == [[4001, 4002, 4003], [7001, 7002, 7003]]
    assert [pairs for pairs, _, _ in scorer.batches] == [1] * 6
    assert [length for _, _, length in scorer.batches] == [2, 3, 1] * 2


SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
]


class Limited(NumberScorer):
    """Scores that name their pair; raises ``error`` on more than ``most`` pairs at once."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.most, self.error = most, error
        self.tried: list[int] = []

    def score_pairs(self, images: ImageState, texts: TextState) -> torch.Tensor:
        """Score pairs, or fail."""
        self.tried.append(len(images.tokens))
        if len(images.tokens) > self.most:
            raise self.error
        return super().score_pairs(images, texts)


@pytest.mark.parametrize("error", SHORTAGES)
@pytest.mark.parametrize("most", [1, 2, 3, 5, 100])
def test_a_batch_of_pairs_that_does_not_fit_is_halved_and_scores_stay(most: int, error: Exception):
    prepared = numbered_states(5, LENGTHS)
    wanted = score_matrix(NumberScorer(), *prepared, precision="float32")
    scorer = Limited(most, error)
    with shortages() as told:
        found = score_matrix(scorer, *prepared, token_budget=100, precision="float32")
    assert torch.equal(found, wanted)
    failures = [size for size in scorer.tried if size > most]
    assert len(told) == len(failures)
    assert failures == sorted(failures, reverse=True), "what failed once is not tried again"
    assert sum(size for size in scorer.tried if size <= most) == wanted.numel()


def test_one_pair_that_does_not_fit_is_an_error_and_so_is_another_failure():
    prepared = numbered_states(5, LENGTHS)
    for most, error in ((0, MemoryError("one")), (3, RuntimeError("broken"))):
        with pytest.raises(type(error), match=str(error)):
            score_matrix(Limited(most, error), *prepared, precision="float32")
