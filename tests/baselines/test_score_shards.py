"""A scoring that was cut off anywhere, gone on from, has the bits of one that was left alone."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from baselines.pair_scoring import score_list, score_matrix, score_rows
from baselines.score_shards import ScoreShards, grouped
from baselines.single_stream import SingleStream
from cookie.errors import UserError
from cookie.interfaces import ImageBatch, ImageState, PairScorer, TextBatch, TextState
from tests.baselines.material import VOCABULARY, make_images, make_texts, small_config

LENGTHS = [5, 3, 9, 3, 4, 7, 2, 8, 6, 3, 5, 4]
IMAGES = 7
BUDGET = 60
"""Tokens: a few pairs a batch, and the number of images divides neither batches nor shards."""
PAIRS = 11
MAKINGS = {"weights": "one"}
States = tuple[ImageState, TextState]
Score = Callable[[PairScorer, States, ScoreShards | None], Tensor]


class CutError(Exception):
    """Ends a scoring from within."""


class CutScorer:
    """A single-stream that counts its batches and does something at one of them.

    Args:
        at: the batch, counted from 1; 0 for none.
        act: what it does.
    """

    def __init__(self, at: int = 0, act: Callable[[], None] | None = None) -> None:
        torch.manual_seed(0)
        self.model = SingleStream(small_config(layers=2), VOCABULARY).eval()
        for parameter in self.model.parameters():  # or all scores would be nearly the same
            parameter.data.add_(0.1 * torch.randn_like(parameter))
        self.at, self.act, self.batches = at, act, 0

    def prepare_images(self, images: ImageBatch) -> ImageState:
        """Hand on."""
        return self.model.prepare_images(images)

    def prepare_texts(self, texts: TextBatch) -> TextState:
        """Hand on."""
        return self.model.prepare_texts(texts)

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Count and hand on."""
        self.batches += 1
        if self.batches == self.at and self.act is not None:
            self.act()
        return self.model.score_pairs(images, texts)

    def states(self) -> States:
        """Return what is scored."""
        with torch.inference_mode():
            return self.prepare_images(make_images(IMAGES)), self.prepare_texts(make_texts(LENGTHS))


def stop() -> None:
    """Raise."""
    raise CutError


def die() -> None:
    """Kill this process as nothing can prevent."""
    os.kill(os.getpid(), signal.SIGKILL)


def matrix(scorer: PairScorer, states: States, shards: ScoreShards | None) -> Tensor:
    """Score all pairs."""
    return score_matrix(scorer, *states, token_budget=BUDGET, precision="float32", shards=shards)


def rows(scorer: PairScorer, states: States, shards: ScoreShards | None) -> Tensor:
    """Score some captions against all images."""
    queries = np.array([11, 2, 3, 7, 0])
    settings: Any = {"token_budget": BUDGET, "precision": "float32", "shards": shards}
    return score_rows(scorer, *states, queries, "t2i", **settings)


def pairs(scorer: PairScorer, states: States, shards: ScoreShards | None) -> Tensor:
    """Score a list of pairs."""
    draws = np.random.default_rng(0)
    images, captions = draws.integers(IMAGES, size=40), draws.integers(len(LENGTHS), size=40)
    settings: Any = {"token_budget": BUDGET, "precision": "float32", "shards": shards}
    return score_list(scorer, *states, images, captions, **settings)


def shards_in(folder: Path, **makings: str) -> ScoreShards:
    """Return small shards."""
    return ScoreShards(folder, {**MAKINGS, **makings}, pairs=PAIRS)


def files(folder: Path) -> list[Path]:
    """Return the shards, in order."""
    return sorted(folder.glob("*.safetensors"))


def same_bits(first: Tensor, second: Tensor) -> bool:
    """Tell whether two results are one."""
    return first.dtype == second.dtype and torch.equal(first, second)


@pytest.mark.parametrize("score", [matrix, rows, pairs])
def test_cut_off_at_any_batch_and_gone_on_from_gives_the_same_bits(score: Score, tmp_path: Path):
    whole = CutScorer()
    states = whole.states()
    wanted = score(whole, states, None)
    assert float(wanted.std()) > 1e-2
    resumed = []
    for at in range(1, whole.batches + 1):
        shards = shards_in(tmp_path / str(at))
        with pytest.raises(CutError):
            score(CutScorer(at, stop), states, shards)
        again = CutScorer()
        assert same_bits(score(again, states, shards), wanted)
        assert again.batches >= whole.batches - at + 1, "what was not scored has to be"
        resumed.append(again.batches)
    assert resumed == sorted(resumed, reverse=True)
    assert resumed[0] == whole.batches
    assert resumed[-1] < 5 < whole.batches, "all but the last shard was kept"


@pytest.mark.parametrize("score", [matrix, rows, pairs])
def test_shards_change_no_bit_and_finished_ones_are_not_scored_again(score: Score, tmp_path: Path):
    plain, first, second = CutScorer(), CutScorer(), CutScorer()
    states, shards = plain.states(), shards_in(tmp_path)
    wanted = score(plain, states, None)
    assert same_bits(score(first, states, shards), wanted)
    assert first.batches == plain.batches
    assert len(files(tmp_path)) > 2
    assert same_bits(score(second, states, shards), wanted)
    assert second.batches == 0


def killed(folder: Path, at: int) -> None:
    """Score in a process of its own and be killed at a batch."""
    scorer = CutScorer(at, die)
    matrix(scorer, scorer.states(), shards_in(folder))


def finished(folder: Path, result: Path) -> None:
    """Score in a process of its own to the end, and write the bits."""
    scorer = CutScorer()
    result.write_bytes(matrix(scorer, scorer.states(), shards_in(folder)).numpy().tobytes())


def test_kill_9_loses_no_whole_shard_and_no_bit(tmp_path: Path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # seconds of imports, once for all processes
    codes = []
    for at in (9, 7):
        process = context.Process(target=killed, args=(tmp_path / "cut", at))
        process.start()
        process.join()
        codes.append(process.exitcode)
    assert codes == [-signal.SIGKILL] * 2
    kept = {path: path.stat().st_mtime_ns for path in files(tmp_path / "cut")}
    assert len(kept) > 2
    for name in ("cut", "alone"):
        process = context.Process(target=finished, args=(tmp_path / name, tmp_path / f"{name}.out"))
        process.start()
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "cut.out").read_bytes() == (tmp_path / "alone.out").read_bytes()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def emptied(content: bytes) -> bytes:
    """Return nothing."""
    return content[:0]


def halved(content: bytes) -> bytes:
    """Return half."""
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """Return the content with one bit of the last score changed."""
    return content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]


def no_shard(content: bytes) -> bytes:
    """Return something else of the same length."""
    return b"x" * len(content)


@pytest.mark.parametrize("damage", [emptied, halved, flipped, no_shard])
def test_a_damaged_shard_is_scored_again_and_said_so(
    damage: Callable[[bytes], bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    scorer, again, last = CutScorer(), CutScorer(), CutScorer()
    states, shards = scorer.states(), shards_in(tmp_path)
    wanted = matrix(scorer, states, shards)
    broken = files(tmp_path)[1]
    broken.write_bytes(damage(broken.read_bytes()))
    assert same_bits(matrix(again, states, shards), wanted)
    assert 0 < again.batches < 8
    (message,) = caplog.messages
    assert message == f"The scores in '{broken}' are damaged: these pairs are scored again."
    matrix(last, states, shards)
    assert last.batches == 0, "the shard was mended"


def test_scores_of_other_makings_are_made_again_and_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    scorer, other = CutScorer(), CutScorer()
    states = scorer.states()
    for parameter in other.model.parameters():
        parameter.data.mul_(1.1)
    matrix(scorer, states, shards_in(tmp_path))
    found = matrix(other, states, shards_in(tmp_path, weights="two"))
    assert same_bits(found, matrix(other, states, None))
    assert len(caplog.messages) == len(files(tmp_path))
    assert "are of other weights, data or settings" in caplog.text
    assert shards_in(tmp_path).about(weights="two") == shards_in(tmp_path, weights="two")


def test_a_shard_in_the_place_of_another_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    scorer = CutScorer()
    states, shards = scorer.states(), shards_in(tmp_path)
    wanted = matrix(scorer, states, shards)
    first, second, *_ = files(tmp_path)
    second.write_bytes(first.read_bytes())
    assert same_bits(matrix(scorer, states, shards), wanted)
    assert str(second) in caplog.text


def test_other_pairs_of_the_same_states_lie_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    scorer = CutScorer()
    states, shards = scorer.states(), shards_in(tmp_path)
    for score in (matrix, rows, pairs):
        score(scorer, states, shards)
    before = scorer.batches
    for score in (matrix, rows, pairs):
        assert same_bits(score(scorer, states, shards), score(CutScorer(), states, None))
    assert scorer.batches == before
    assert not caplog.messages


def test_no_pairs_need_no_shards(tmp_path: Path):
    none, scorer = np.array([], dtype=np.int64), CutScorer()
    states, shards = scorer.states(), shards_in(tmp_path)
    assert score_list(scorer, *states, none, none, shards=shards).shape == (0,)
    assert score_rows(scorer, *states, none, "i2t", shards=shards).shape == (0, len(LENGTHS))
    assert files(tmp_path) == []


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("cookie.training.checkpoint.save_file", full)
    scorer = CutScorer()
    with pytest.raises(UserError, match=r"^No space left while writing '.*': free some"):
        matrix(scorer, scorer.states(), shards_in(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_rate_is_remembered_for_the_same_makings(tmp_path: Path):
    shards, found = shards_in(tmp_path), iter([3.25, 4.0, 5.0])

    def measure() -> float:
        return next(found)

    assert [shards.remember("rate", measure) for _ in range(2)] == [3.25, 3.25]
    assert shards_in(tmp_path, weights="two").remember("rate", measure) == 4.0
    (tmp_path / "rate.json").write_text("{")
    assert [shards.remember("rate", measure) for _ in range(2)] == [5.0, 5.0]


def test_what_is_removed_is_gone(tmp_path: Path):
    shards = shards_in(tmp_path / "scores")
    scorer = CutScorer()
    matrix(scorer, scorer.states(), shards)
    shards.remember("rate", lambda: 1.0)
    shards.remove()
    assert list(tmp_path.iterdir()) == []
    shards.remove()


@given(sizes=st.lists(st.integers(1, 9), max_size=20), pairs=st.integers(1, 12))
def test_groups_are_whole_batches_in_order(sizes: list[int], pairs: int):
    ends = np.cumsum([0, *sizes]).tolist()
    batches = list(itertools.pairwise(ends))
    groups = list(grouped(batches, pairs))
    assert [batch for group in groups for batch in group] == batches
    lengths = [group[-1][1] - group[0][0] for group in groups]
    assert all(length >= pairs for length in lengths[:-1])
    assert all(group[-2][1] - group[0][0] < pairs for group in groups if len(group) > 1)
