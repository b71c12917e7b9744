"""Full-evaluation times on a made clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.pair_states import prepare_corpus
from bench.cells.full_evaluation import (
    Bench,
    FullEvaluation,
    _dual,
    _naive,
    _pair,
    _two_stage,
    compiled,
    first_run,
    list_rates,
    timed,
)
from bench.cells.rates import captions_in, chosen, pair_rates, part_rate
from bench.effort import Effort, effort_of
from bench.measure.timer import Timer
from bench.systems import Family
from cookie.compiling import CompiledEncoder, CompiledScorer
from tests.bench.toy import ToyCorpus, ToyEncoder, ToyScorer

CORPUS = ToyCorpus(images=20)
PAIRS = 20 * len(CORPUS.captions)
CPU = torch.device("cpu")
QUICK = Effort(repeat=0.0, part=1.0, parts=3)


def steady(seconds: float = 1.0) -> Timer:
    """Return a timer on which every call takes ``seconds``."""
    ticks = itertools.count()
    return Timer(lambda: None, lambda: int(next(ticks) * seconds * 1e9))


def bench(effort: Effort = QUICK) -> Bench:
    return Bench(CORPUS, steady(), effort)


def test_times_are_medians_over_repeats_and_add_up() -> None:
    found = FullEvaluation([3.0, 1.0, 2.0], [0.1, 0.3, 0.2]).to_dict(CORPUS)
    assert found["parts"] == {"encoding": 2.0, "ranking": pytest.approx(0.2)}
    assert found["seconds"] == pytest.approx(2.2)
    assert found["repeats"] == pytest.approx([3.1, 1.3, 2.2])
    assert (found["images"], found["captions"]) == (20, len(CORPUS.captions))


def test_one_encoding_goes_with_every_ranking() -> None:
    found = FullEvaluation([10.0], [1.0, 2.0], 5.0, extrapolated=True).to_dict(CORPUS)
    assert found["repeats"] == [11.0, 12.0]
    assert found["extrapolated"] is True
    assert found["pairs_per_second"] == 5.0


def test_timed_gives_time_and_result() -> None:
    assert timed(steady(2.5), lambda: "result") == (2.5, "result")


def test_a_dual_encoder_is_repeated_at_least_twice() -> None:
    found = _dual(ToyEncoder(), bench(), CPU)
    assert (list(found.encodings), list(found.rankings)) == ([1.0, 1.0], [1.0, 1.0])
    assert found.pairs_per_second is None
    assert not found.extrapolated


@pytest.mark.parametrize(
    ("family", "model", "kind"),
    [("dual", ToyEncoder(), CompiledEncoder), ("pair", ToyScorer(), CompiledScorer)],
)
def test_compiling_is_timed_apart_and_first(
    family: Family, model: nn.Module, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = set[str]()

    def noted(function: Callable[..., Any], **_: object) -> Callable[..., Any]:
        def run(*given: Any) -> Any:  # noqa: ANN401
            called.add(function.__name__)
            return function(*given)

        return run

    monkeypatch.setattr(torch, "compile", noted)
    ready = compiled(model, family)
    assert isinstance(ready, kind)
    assert first_run(ready, family, bench(), CPU) == 1.0
    everything = {"encode_images", "encode_texts"}
    assert called == (
        everything if family == "dual" else {"tokens", "prepare_texts", "score_pairs"}
    )


def test_pairs_that_fit_are_all_scored() -> None:
    found = _pair(ToyScorer(), bench(Effort(part=1.0, parts=3, whole_cpu=1e9)), "cpu")
    assert not found.extrapolated
    assert found.pairs_per_second == PAIRS
    assert list(found.rankings) == [2.0]


def test_pairs_that_do_not_fit_are_extrapolated() -> None:
    effort = Effort(part=1.0, parts=3, whole_cpu=0.0)
    found = _pair(ToyScorer(), bench(effort), "cpu")
    assert found.extrapolated
    assert len(found.rankings) == 3
    assert found.pairs_per_second is not None
    assert float(np.median(found.rankings)) == pytest.approx(PAIRS / found.pairs_per_second)


def test_rates_count_the_pairs_of_a_part() -> None:
    scorer = ToyScorer()
    states = prepare_corpus(scorer, CORPUS, progress=False)
    rates = pair_rates(scorer, states, steady(), seconds=1.0, parts=3, precision="float32")
    assert rates == [PAIRS] * 3  # the probe takes all captions, and a call one second


def test_every_part_has_captions_of_its_own_as_many_as_fit() -> None:
    scorer = ToyScorer()
    states = prepare_corpus(scorer, CORPUS, progress=False)
    asked = captions_in(scorer, states, steady(), seconds=0.25, precision="float32")
    assert asked == len(CORPUS.captions) // 4  # a call takes a second, whatever it scores
    rate = part_rate(scorer, states, steady(2.0), 1, asked=asked, precision="float32")
    assert rate == 20 * asked / 2.0
    everything = np.concatenate([chosen(len(CORPUS.captions), asked, part) for part in range(4)])
    assert len(set(everything)) == 4 * asked


def test_lists_that_fit_are_scored_whole() -> None:
    scorer = ToyScorer()
    states = prepare_corpus(scorer, CORPUS, progress=False)
    pairs = np.zeros((2, 100), dtype=np.int64)
    assert list_rates(scorer, states, pairs, bench()) == ([100.0], True)
    rates, whole = list_rates(scorer, states, np.zeros((2, 50_000), dtype=np.int64), bench())
    assert (rates, whole) == ([1024.0] * 3, False)


def test_two_stages_score_a_shortlist_of_both_directions() -> None:
    found = _two_stage(ToyEncoder(), ToyScorer(), bench(), CPU, 4)
    pairs = 4 * (20 + len(CORPUS.captions))
    assert found.pairs_per_second == pairs
    assert list(found.encodings) == [2.0]  # both encoders
    assert list(found.rankings) == [3.0]  # two shortlists and the pairs
    assert not found.extrapolated


def test_the_naive_loop_is_extrapolated_from_its_rate() -> None:
    found = _naive(ToyScorer(), bench(Effort(part=0.0, parts=3)))
    assert found.pairs_per_second == 16.0
    assert list(found.rankings) == [PAIRS / 16.0] * 3
    assert found.extrapolated


def test_smoke_takes_less_effort() -> None:
    smoke, usual = effort_of("smoke"), effort_of("tiny")
    assert smoke.latency < usual.latency
    assert smoke.part < usual.part
    assert effort_of("small") == usual
