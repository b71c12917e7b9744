"""The plan: which cells a table needs, in an order in which they can be run."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, get_args

from bench.records import EVERY_SYSTEM, Cell, Kind
from bench.systems import systems

if TYPE_CHECKING:
    import torch

ORDER: tuple[Kind, ...] = get_args(Kind)
"""What is trained comes first; then what rests on it, in the order in which kinds are named."""
GROWING = ("dual_stream", "cookie", "single_stream", "two_stage")
"""Systems that are measured in turns while the gallery grows."""


def cells_of(rows: Sequence[str], seeds: Sequence[int], kinds: Iterable[Kind]) -> list[Cell]:
    """Return the cells that the table rows need, each once, in running order.

    Speed does not depend on the seed, so it is measured for the first one only; query latency is
    one cell for all systems, because they are interleaved in one process, and so are the full
    evaluations that claim C3 compares.
    """
    wanted = set(kinds)
    cells: dict[Cell, None] = {}
    for kind in ORDER:
        if kind in wanted:
            cells.update(dict.fromkeys(_of_kind(kind, rows, seeds)))
    return list(cells)


def _of_kind(kind: Kind, rows: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    if kind == "train":
        return [Cell("train", name, seed) for seed in seeds for name in _trained(rows)]
    having = [row for row in rows if kind in systems[row].kinds]
    if kind in ("accuracy", "images", "texts"):
        return [Cell(kind, row, seed) for seed in seeds for row in having]
    if kind in ("efficiency", "load", "cost"):
        return [Cell(kind, row, seeds[0]) for row in having]
    return [Cell(kind, EVERY_SYSTEM, seeds[0])] if having else []


def merge(plans: Iterable[Sequence[Cell]]) -> list[Cell]:
    """Return the cells of several plans, each once, still in running order."""
    cells = dict.fromkeys(cell for plan in plans for cell in plan)
    return sorted(cells, key=lambda cell: ORDER.index(cell.kind))


def timed_in_turns(kind: Kind, cells: Sequence[Cell]) -> list[str]:
    """Return the systems that a cell of ``kind`` times in turns: those whose speed is asked for."""
    timed = [cell.system for cell in cells if cell.kind == "efficiency"]
    return [name for name in timed if kind in systems[name].kinds]


def needed(cell: Cell, measured: Sequence[str]) -> list[Cell]:
    """Return the trainings that a cell works with, or that a training begins with.

    Args:
        cell: of a plan.
        measured: names of the systems that it measures.
    """
    found = [systems[cell.system].start] if cell.kind == "train" else _parts(measured)
    return [Cell("train", part, cell.seed) for part in dict.fromkeys(found) if part]


def only(cells: Sequence[Cell], rows: Sequence[str]) -> list[Cell]:
    """Return the cells of ``rows`` and the trainings that these need.

    What all systems share, such as the latencies for which they take turns, is of none of them.
    """
    trained = _trained(rows)
    return [c for c in cells if c.system in (trained if c.kind == "train" else rows)]


def _trained(rows: Sequence[str]) -> list[str]:
    """Return what is trained for ``rows``, each after what it begins with."""
    return [name for part in _parts(rows) for name in (systems[part].start, part) if name]


def _parts(rows: Sequence[str]) -> list[str]:
    return [part for row in rows for part in systems[row].parts]


def compilable(cells: Sequence[Cell], device: torch.device) -> list[Cell]:
    """Return ``cells`` without those of compiled rows where nothing can be compiled; say so."""
    from cookie.compiling import compiler_problem

    names = {name for name in systems if systems[name].compiled}
    problem = compiler_problem(device)
    if problem is None or names.isdisjoint(cell.system for cell in cells):
        return list(cells)
    print(f"Compiled rows are left out. {problem}", file=sys.stderr)
    return [cell for cell in cells if cell.system not in names]
