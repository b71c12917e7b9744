"""Limited runs: the order of value, what fits, what depends on what, and what is charged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bench.plan import merge, needed
from bench.records import EVERY_SYSTEM, Cell
from bench.running import budget as budget_module
from bench.running.budget import Attempt, Budget, by_value, rehearse, run_within, spend, told
from bench.running.choice import Choice, Estimate
from bench.systems import systems
from bench.tables import tables
from cookie.errors import UserError

TRAIN, ACCURACY = Cell("train", "cookie", 0), Cell("accuracy", "cookie", 0)
LOAD, COST = Cell("load", "cookie", 0), Cell("cost", "open_clip", 0)


def row(cell: Cell, seconds: float, *, finished: bool = False) -> Estimate:
    return Estimate(cell, finished=finished, seconds=seconds, source="rough")


class Runs:
    """Stands in for running cells: notes them, and takes the time it is told."""

    def __init__(self, failing: Cell | None = None, **really: float) -> None:
        self.ran: list[Cell] = []
        self.failing, self.really = failing, really

    def __call__(self, estimate: Estimate) -> Attempt:
        """Note a cell."""
        self.ran.append(estimate.cell)
        seconds = self.really.get(estimate.cell.kind, estimate.seconds)
        return Attempt(seconds, estimate.cell != self.failing)


def spent(
    rows: list[Estimate], seconds: float, runs: Runs | None = None
) -> tuple[list[str], Budget, list[Choice]]:
    """Return the state of each row, the budget afterwards, and the choices."""
    budget, known = Budget(seconds), [one.cell for one in rows]
    needs = {
        cell: [other for other in needed(cell, [cell.system]) if other in known] for cell in known
    }
    choices = spend(rows, needs, budget, runs or Runs())
    return [choice.state for choice in choices], budget, choices


def test_what_fits_runs_and_a_smaller_one_after_it_still_may() -> None:
    rows = [row(TRAIN, 60), row(ACCURACY, 50), row(LOAD, 30), row(COST, 10)]
    states, budget, choices = spent(rows, 100)
    assert states == ["runs", "left out", "runs", "runs"]
    assert budget.left == 0
    assert choices[1].reason == "40 s are left"


def test_the_time_really_used_is_charged() -> None:
    rows = [row(TRAIN, 60), row(ACCURACY, 50), row(LOAD, 30)]
    states, budget, _ = spent(rows, 100, Runs(train=20.0))
    assert states == ["runs", "runs", "runs"]
    assert budget.left == 0
    states, budget, _ = spent(rows, 100, Runs(train=95.0))
    assert states == ["runs", "left out", "left out"]
    assert budget.left == 5
    states, budget, _ = spent(rows, 100, Runs(train=500.0))
    assert states == ["runs", "left out", "left out"]
    assert (budget.left, budget.spent) == (0, 500)


def test_without_its_training_a_cell_is_left_out_however_short() -> None:
    rows = [row(TRAIN, 200), row(ACCURACY, 1), row(LOAD, 1), row(COST, 1)]
    states, budget, choices = spent(rows, 100)
    assert states == ["left out", "left out", "left out", "runs"]
    assert budget.spent == 1
    assert choices[1].reason == "there is no 'train cookie seed 0'"


def test_a_failed_training_leaves_out_what_needs_it_and_is_charged() -> None:
    runs = Runs(failing=TRAIN, train=30.0)
    rows = [row(TRAIN, 20), row(ACCURACY, 1), row(COST, 1)]
    states, budget, _ = spent(rows, 100, runs)
    assert states == ["runs", "left out", "runs"]
    assert budget.spent == 31
    assert runs.ran == [TRAIN, COST]


def test_finished_cells_cost_nothing_and_a_training_that_was_lost_is_made_again() -> None:
    rows = [row(TRAIN, 60, finished=True), row(ACCURACY, 50, finished=True), row(LOAD, 30)]
    runs = Runs()
    states, budget, _ = spent(rows, 30, runs)
    assert (states, budget.left) == (["finished", "finished", "runs"], 0)
    assert runs.ran == [LOAD]
    again = [row(TRAIN, 10), row(ACCURACY, 5, finished=True)]
    assert spent(again, 30)[0] == ["runs", "runs"], "other weights make accuracy stale"


def test_a_run_in_parts_does_all_of_it() -> None:
    """Finished cells are passed over, so that repeating the command comes to an end."""
    rows = [row(TRAIN, 90), row(ACCURACY, 50), row(LOAD, 40), row(COST, 100)]
    for expected in ([TRAIN], [ACCURACY, LOAD], [COST], []):
        runs = Runs()
        _, _, choices = spent(rows, 100, runs)
        assert runs.ran == expected
        done = {c.estimate.cell for c in choices if c.state != "left out"}
        rows = [row(one.cell, one.seconds, finished=one.cell in done) for one in rows]


class FakeRunner:
    """Plans and runs cells that take no time; one of them may fail."""

    def __init__(self, failing: Sequence[Cell] = ()) -> None:
        self.failing, self.ran = failing, list[Cell]()

    def needs(self, cell: Cell, cells: Sequence[Cell]) -> list[Cell]:
        """Return the trainings of the plan that a cell works with."""
        return [other for other in needed(cell, [cell.system]) if other in cells]

    def attempt(self, cell: Cell, cells: Sequence[Cell]) -> str | None:
        """Note a cell that is run; return why it fails."""
        assert len(cells) == len(PLAN), "a protocol depends on the whole plan"
        self.ran.append(cell)
        return "broken" if cell in self.failing else None


PLAN = [TRAIN, ACCURACY, LOAD, COST]


@pytest.fixture(autouse=True)
def _estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {TRAIN: 60.0, ACCURACY: 50.0, LOAD: 30.0, COST: 10.0}
    monkeypatch.setattr(
        budget_module, "estimates", lambda _, cells: [row(c, seconds[c]) for c in cells]
    )


def runner(*failing: Cell) -> Any:  # noqa: ANN401 -- in the place of a Runner
    return FakeRunner(failing)


def test_a_rehearsal_runs_nothing_and_charges_what_is_expected() -> None:
    made = runner()
    choices = rehearse(made, PLAN, (0,), Budget(100))
    assert [choice.state for choice in choices] == ["runs", "left out", "runs", "runs"]
    assert made.ran == []


def test_a_limited_run_charges_what_was_used(capsys: pytest.CaptureFixture[str]) -> None:
    """Cells that take no time leave room for those that the rehearsal left out."""
    made, budget = runner(), Budget(100)
    outcome, choices = run_within(made, PLAN, (0,), budget)
    assert made.ran == PLAN
    assert (outcome.ran, outcome.failed, outcome.left_out) == (4, {}, [])
    assert 0 < budget.spent < 5
    assert {choice.state for choice in choices} == {"runs"}
    assert capsys.readouterr().err.splitlines()[0].endswith(" left] train cookie seed 0")


def test_a_limited_run_keeps_what_failed_apart() -> None:
    made = runner(TRAIN)
    outcome, _ = run_within(made, PLAN, (0,), Budget(100))
    assert made.ran == [TRAIN, COST]
    assert (outcome.ran, outcome.failed) == (1, {TRAIN: "broken"})
    assert [choice.estimate.cell for choice in outcome.left_out] == [ACCURACY, LOAD]


def test_a_limited_run_of_which_nothing_succeeds_is_an_error() -> None:
    with pytest.raises(UserError, match="broken"):
        run_within(runner(TRAIN, COST), PLAN, (0,), Budget(100))


def everything(seeds: tuple[int, ...] = (0, 1)) -> list[Cell]:
    return merge([tables[number].cells(seeds, True) for number in tables])


def test_the_order_of_value_holds_every_cell_once() -> None:
    cells = everything()
    ordered = by_value(cells, (0, 1))
    assert set(ordered) == set(cells)
    assert len(ordered) == len(cells)


@pytest.mark.parametrize("seeds", [(0,), (1, 0), (0, 1, 2)])
def test_trainings_come_before_what_needs_them(seeds: tuple[int, ...]) -> None:
    ordered = by_value(everything(seeds), seeds)
    for place, cell in enumerate(ordered):
        one = list(systems) if cell.system == EVERY_SYSTEM else [cell.system]
        for training in needed(cell, one):
            if training in ordered and systems[training.system].parts[0] in (
                "cookie",
                "dual_stream",
                "single_stream",
                cell.system,
            ):
                assert ordered.index(training) < place, (str(training), str(cell))


def test_claims_come_first_and_later_seeds_last() -> None:
    ordered = by_value(everything(), (0, 1))
    kinds = ("accuracy", "efficiency", "images", "load", "growth", "shortlists")
    firsts = [next(i for i, cell in enumerate(ordered) if cell.kind == kind) for kind in kinds]
    assert firsts == sorted(firsts)
    core = ordered.index(Cell("accuracy", "two_stage", 0))
    assert core < ordered.index(Cell("efficiency", "cookie", 0))
    assert ordered.index(Cell("latency", EVERY_SYSTEM, 0)) < ordered.index(
        Cell("load", "cookie", 0)
    )
    variant = ordered.index(Cell("train", "token_mlp", 0))
    assert firsts[-1] < variant < ordered.index(COST)
    seeds = [cell.seed for cell in ordered]
    assert seeds == sorted(seeds)
    assert by_value(everything(), (1, 0))[0].seed == 1


def test_what_a_cell_needs() -> None:
    both = [Cell("train", "cookie", 3), Cell("train", "single_stream", 3)]
    assert needed(Cell("load", "two_stage", 3), ["two_stage"]) == both
    assert needed(Cell("latency", EVERY_SYSTEM, 3), ["cookie", "two_stage"]) == both
    assert needed(Cell("train", "cookie", 0), ["cookie"]) == []
    assert needed(Cell("accuracy", "ridge_floor", 0), ["ridge_floor"]) == []
    assert needed(COST, ["open_clip"]) == []


def test_it_is_told_what_is_left_out() -> None:
    rows = [row(TRAIN, 200), row(ACCURACY, 1), row(COST, 1)]
    _, budget, choices = spent(rows, 100)
    lines = told(choices, budget).splitlines()
    assert lines[0] == "2 of 3 cells are left out; 1 s of 100 s"
    assert [line.split()[0] for line in lines[1:]] == ["train", "accuracy"]
    assert "left out: 100 s are left" in lines[1]
    _, budget, choices = spent(rows, 1000)
    assert told(choices, budget) == "nothing is left out; 202 s of 16.7 min"
    assert choices[0].to_dict()["state"] == "runs"
