"""What a run would do and how long it would take, for ``--dry-run``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.records import Cell
from bench.running.budget import Budget, rehearse, told
from bench.running.choice import Choice, Estimate
from bench.running.estimate import estimates
from bench.running.runner import Runner


def print_plan(runner: Runner, cells: Sequence[Cell], *, as_json: bool) -> None:
    """Print every cell with an estimate of its time, and the sum for those not finished."""
    rows = estimates(runner, cells)
    total = sum(row.seconds for row in rows if not row.finished)
    summary = f"{len(rows)} cells; about {total / 60:.1f} min for those that are not finished"
    _print(rows, summary, as_json=as_json)


def print_choices(
    runner: Runner, cells: Sequence[Cell], seeds: Sequence[int], minutes: float, *, as_json: bool
) -> None:
    """Print the cells in the order of what they tell, and which of them would fit."""
    budget = Budget(60 * minutes)
    choices = rehearse(runner, cells, seeds, budget)
    _print(choices, told(choices, budget).partition("\n")[0], as_json=as_json)


def _print(rows: Sequence[Estimate | Choice], summary: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([row.to_dict() for row in rows], indent=1))
    else:
        print(*rows, summary, sep="\n")
