"""Full evaluations in turns: order, rounds, what is extrapolated, and what is left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bench.cells import evaluations
from bench.cells.evaluations import Turn, entrant, in_order, run, take_turns
from bench.cells.full_evaluation import Bench
from bench.effort import SMOKE_TURNS, Effort, TurnsEffort, turns_effort_of
from bench.findings.inference_time import per_mille_of_rounds
from bench.material.workshop import Setup, Workshop
from bench.measure.timer import Timer
from cookie.errors import UserError
from tests.bench.toy import ToyCorpus, ToyEncoder, ToyScorer

CORPUS = ToyCorpus(images=20)
PAIRS = 20 * len(CORPUS.captions)
CPU = torch.device("cpu")
FOUR = TurnsEffort(seconds=0.0, least=4, most=9)


def steady() -> Timer:
    """Return a timer on which every call takes a second."""
    ticks = itertools.count()
    return Timer(lambda: None, lambda: int(next(ticks) * 1e9))


def bench() -> Bench:
    return Bench(CORPUS, steady(), Effort())


def test_every_other_round_goes_backwards() -> None:
    rounds = [in_order("abc", number) for number in range(4)]
    assert rounds == [["a", "b", "c"], ["c", "b", "a"]] * 2


def test_all_take_one_turn_a_round_and_a_drift_is_not_in_the_ratio() -> None:
    """The machine slows down from round to round; the second always takes 5 times as long."""
    taken: list[tuple[str, int]] = []

    def turns_of(name: str, seconds: float) -> Callable[[int], Turn]:
        def turn(number: int) -> Turn:
            taken.append((name, number))
            return Turn(seconds * 2**number, seconds * 2**number)

        return turn

    found = take_turns({"a": turns_of("a", 1.0), "b": turns_of("b", 5.0)}, FOUR, {})
    assert taken == [
        *(("a", 0), ("b", 0), ("b", 1), ("a", 1)),
        *(("a", 2), ("b", 2), ("b", 3), ("a", 3)),
    ]
    ours, theirs = (evaluations._values(found[name], CORPUS) for name in "ab")
    ratio = per_mille_of_rounds(ours, theirs)
    assert (ratio.value, ratio.low, ratio.high) == (200.0, 200.0, 200.0)
    assert ours["repeats"] == [2.0, 4.0, 8.0, 16.0]
    assert ours["parts"] == {"encoding": 3.0, "ranking": 3.0}
    assert evaluations._raw(found["b"])["ranking"] == [5.0, 10.0, 20.0, 40.0]


@pytest.mark.parametrize(
    ("effort", "rounds"),
    [
        (TurnsEffort(seconds=0.0, least=2, most=5), 2),
        (TurnsEffort(seconds=1e9, least=2, most=5), 5),
    ],
)
def test_rounds_end_with_the_time_or_when_there_are_enough(
    effort: TurnsEffort, rounds: int
) -> None:
    found = take_turns({"a": lambda _: Turn(1.0, 1.0)}, effort, {})
    assert len(found["a"]) == rounds


def test_who_fails_in_a_round_is_left_out_of_all() -> None:
    def fails(number: int) -> Turn:
        if number == 2:
            raise MemoryError("out of memory")
        return Turn(1.0, 1.0)

    left_out: dict[str, str] = {}
    found = take_turns({"a": fails, "b": lambda _: Turn(1.0, 2.0)}, FOUR, left_out)
    assert {name: len(taken) for name, taken in found.items()} == {"b": 4}
    assert left_out == {"a": "It did not fit into the memory (out of memory)."}


def test_an_error_of_the_program_is_not_left_out() -> None:
    def wrong(_: int) -> Turn:
        raise RuntimeError("shapes do not agree")

    with pytest.raises(RuntimeError, match="shapes"):
        take_turns({"a": wrong}, FOUR, {})


def test_a_dual_encoder_encodes_and_ranks_once_a_turn() -> None:
    take = entrant(ToyEncoder(), "dual", bench(), CPU, 1.0)
    assert take(0) == Turn(1.0, 1.0)


def test_a_pair_scorer_is_extrapolated_from_the_rate_of_its_turn() -> None:
    take = entrant(ToyScorer(), "pair", bench(), CPU, 0.25)
    asked = len(CORPUS.captions) // 4
    rate = 20.0 * asked
    assert take(0) == Turn(1.0, PAIRS / rate, rate, extrapolated=True)
    assert take(0) == take(1)


def test_pairs_that_fit_the_part_are_all_scored_and_ranked() -> None:
    take = entrant(ToyScorer(), "pair", bench(), CPU, 1.0)
    assert take(0) == Turn(1.0, 2.0, PAIRS)


MODELS: dict[str, Callable[[], nn.Module]] = {"cookie": ToyEncoder, "single_stream": ToyScorer}


def workshop(home: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("COOKIE_HOME", str(home))
    monkeypatch.setattr(evaluations, "timer_for", lambda _: steady())
    made = Workshop(Setup("scenes", "smoke", "cpu"))
    made.__dict__["test_pixels"] = CORPUS
    monkeypatch.setattr(made, "trained", lambda part, _: MODELS[part]())
    return made


def test_the_record_of_two_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = {"systems": ["cookie", "single_stream"]}
    values, raw = run(workshop(tmp_path, monkeypatch), "all", 0, protocol)
    assert (values["rounds"], values["left_out"]) == (SMOKE_TURNS.most, {})
    ours, theirs = values["systems"]["cookie"], values["systems"]["single_stream"]
    assert ours["repeats"] == [2.0] * 3
    assert (ours["extrapolated"], theirs["extrapolated"]) == (False, True)
    rate = raw["single_stream"]["pairs_per_second"][0]
    assert theirs["repeats"] == pytest.approx([1.0 + PAIRS / rate] * 3)
    assert theirs["pairs_per_second"] == rate
    assert (ours["images"], ours["captions"]) == (20, len(CORPUS.captions))
    assert set(raw["cookie"]) == {"encoding", "ranking"}
    assert {len(times) for one in raw.values() for times in one.values()} == {3}
    assert "compile_seconds" not in ours


def test_what_cannot_be_compiled_is_left_out_and_what_can_says_how_long_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_dual_encoders(module: nn.Module, family: str) -> nn.Module:
        if family == "pair":
            raise UserError("torch could not compile it.")
        return module

    monkeypatch.setattr(evaluations, "compiled", compile_dual_encoders)
    names = ["cookie", "cookie_compiled", "single_stream", "single_stream_compiled"]
    values, raw = run(workshop(tmp_path, monkeypatch), "all", 0, {"systems": names})
    assert list(values["systems"]) == list(raw) == names[:3]
    assert values["left_out"] == {"single_stream_compiled": "torch could not compile it."}
    told = {name: one.get("compile_seconds") for name, one in values["systems"].items()}
    assert told == {"cookie": None, "cookie_compiled": 1.0, "single_stream": None}


def test_without_anyone_left_the_cell_has_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> float:  # noqa: ANN401
        raise UserError("No memory.")

    monkeypatch.setattr(evaluations, "first_run", fail)
    with pytest.raises(UserError, match=r"No memory\."):
        run(workshop(tmp_path, monkeypatch), "all", 0, {"systems": ["cookie"]})
    with pytest.raises(UserError, match="in turns"):
        run(workshop(tmp_path, monkeypatch), "all", 0, {"systems": []})


def test_what_was_not_trained_is_no_system_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights can be made, and then the cell is to be run again."""
    made = workshop(tmp_path, monkeypatch)

    def untrained(part: str, _: int) -> nn.Module:
        raise UserError(f"{part} has not been trained here.")

    monkeypatch.setattr(made, "trained", untrained)
    with pytest.raises(UserError, match="has not been trained"):
        run(made, "all", 0, {"systems": ["cookie", "single_stream"]})


def test_rounds_enough_for_an_interval_unless_nothing_is_measured() -> None:
    assert turns_effort_of("tiny") == turns_effort_of("small") == TurnsEffort()
    assert TurnsEffort().least >= 6
    assert turns_effort_of("smoke") == SMOKE_TURNS
