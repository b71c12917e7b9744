"""What a run of limited time does: the cells that tell most come first, as long as they fit.

The order of value:

1. training and accuracy of the core systems, on which claims C1 and C2 rest;
2. full evaluations and the latency of queries (C3);
3. image retrieval and text matching with one modality (C4, C5);
4. load, growing galleries, lengths of the shortlist;
5. the ablation and other variants (C6, which takes several seeds in any case);
6. architectures of real size.

All of it comes for the first seed before the next one. A cell that does not fit into what is left
is left out, and with it what needs its training; a smaller one after it may still fit.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.layout import duration
from bench.plan import ORDER
from bench.records import Cell, Kind
from bench.running.choice import Choice, Estimate
from bench.running.estimate import estimates
from bench.running.outcome import Outcome
from bench.running.runner import Runner
from bench.systems import systems

CORE = frozenset({"dual_stream", "cookie", "single_stream"})
"""What claims C1 to C5 are about; the re-ranker and the naive loop are made of these."""
TIERS: tuple[tuple[Kind, ...], ...] = (
    ("train", "accuracy"),
    ("efficiency", "evaluations", "latency"),
    ("images", "texts"),
    ("load",),
    ("growth",),
    ("shortlists", "shortlist_speed"),
)
"""Kinds of core systems by value; after them come other systems, and the kinds not named here."""
Needs = Mapping[Cell, Sequence[Cell]]
"""Cell -> the trainings that it works with."""


@dataclass(slots=True)
class Budget:
    """Seconds that may be spent; what was really spent is charged, also where it was too much."""

    seconds: float
    spent: float = 0.0

    @property
    def left(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.seconds - self.spent)

    def charge(self, seconds: float) -> None:
        """Take off what something took."""
        self.spent += seconds


class Attempt(NamedTuple):
    """What became of running a cell: the seconds it took, and whether there is a result."""

    seconds: float
    done: bool = True


def by_value(cells: Iterable[Cell], seeds: Sequence[int]) -> list[Cell]:
    """Return ``cells`` in the order of value; a training comes before all that needs it.

    Args:
        cells: of a plan.
        seeds: the first one's cells come first.
    """
    places = {name: place for place, name in enumerate(systems)}

    def key(cell: Cell) -> tuple[int, ...]:
        place = places.get(cell.system, len(places))
        return (seeds.index(cell.seed), _tier(cell), place, ORDER.index(cell.kind), cell.gallery)

    return sorted(cells, key=key)


def _tier(cell: Cell) -> int:
    """Return the rank of a cell's value, 0 for the highest."""
    core = cell.system not in systems or set(systems[cell.system].parts) <= CORE
    tiers = [tier for tier, kinds in enumerate(TIERS) if cell.kind in kinds]
    if not tiers:
        return len(TIERS) + 1
    return tiers[0] if core else len(TIERS)


def spend(
    plan: Sequence[Estimate], needs: Needs, budget: Budget, run: Callable[[Estimate], Attempt]
) -> list[Choice]:
    """Go through ``plan`` and run what fits, in order; return what was done with each cell.

    Args:
        plan: estimates in the order of value.
        needs: trainings of each cell; one that is in no plan is taken to be there.
        budget: is charged with what ``run`` says that it took.
        run: runs a cell, or acts as if.
    """
    choices, trained, lacking = list[Choice](), set[Cell](), set[Cell]()
    for row in plan:
        choice = _choose(row, needs[row.cell], budget.left, trained, lacking)
        choices.append(choice)
        if choice.state == "runs":
            seconds, done = run(row)
            budget.charge(seconds)
            (trained if done else lacking).add(row.cell)
        elif choice.state == "left out":
            lacking.add(row.cell)
    return choices


def _choose(
    row: Estimate, needs: Sequence[Cell], left: float, trained: set[Cell], lacking: set[Cell]
) -> Choice:
    """Return what to do with a cell; one whose system is trained anew is not finished any more."""
    missing = [str(cell) for cell in needs if cell in lacking]
    if row.finished and not trained.intersection(needs):
        return Choice(row, "finished")
    if missing:
        return Choice(row, "left out", f"there is no '{missing[0]}'")
    if row.seconds > left:
        return Choice(row, "left out", f"{duration(left)} are left")
    return Choice(row, "runs")


def planned(
    runner: Runner, cells: Sequence[Cell], seeds: Sequence[int]
) -> tuple[list[Estimate], Needs]:
    """Return the estimates of a plan in the order of value, and what each cell works with."""
    rows = {row.cell: row for row in estimates(runner, cells)}
    needs = {cell: runner.needs(cell, cells) for cell in cells}
    return [rows[cell] for cell in by_value(cells, seeds)], needs


def rehearse(
    runner: Runner, cells: Sequence[Cell], seeds: Sequence[int], budget: Budget
) -> list[Choice]:
    """Return what a run would do if every cell took what is expected of it."""
    return spend(*planned(runner, cells, seeds), budget, lambda row: Attempt(row.seconds))


def run_within(
    runner: Runner, cells: Sequence[Cell], seeds: Sequence[int], budget: Budget
) -> tuple[Outcome, list[Choice]]:
    """Run what fits; a cell that was begun is finished, so the last one may take longer.

    Raises:
        UserError: cells failed and none could be run.
    """
    failed: dict[Cell, str] = {}
    started = time.perf_counter()
    rows, needs = planned(runner, cells, seeds)
    budget.charge(time.perf_counter() - started)

    def run(row: Estimate) -> Attempt:
        print(f"[{duration(budget.left)} left] {row.cell}", file=sys.stderr, flush=True)
        began = time.perf_counter()
        reason = runner.attempt(row.cell, cells)
        if reason is not None:
            failed[row.cell] = reason
        return Attempt(time.perf_counter() - began, reason is None)

    choices = spend(rows, needs, budget, run)
    ran = sum(choice.state == "runs" for choice in choices) - len(failed)
    left_out = [choice for choice in choices if choice.state == "left out"]
    return Outcome(ran, failed, left_out).checked(), choices


def told(choices: Sequence[Choice], budget: Budget) -> str:
    """Return what is left out, a line each, and the time that the rest takes."""
    out = [choice for choice in choices if choice.state == "left out"]
    spent = f"{duration(budget.spent)} of {duration(budget.seconds)}"
    if not out:
        return f"nothing is left out; {spent}"
    lines = [f"{len(out)} of {len(choices)} cells are left out; {spent}"]
    return "\n".join([*lines, *(f"  {choice}" for choice in out)])
