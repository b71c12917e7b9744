"""What does the work of each kind of cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from bench.cells import (
    accuracy,
    cost,
    efficiency,
    evaluations,
    growth,
    images,
    latency,
    load,
    shortlist_speed,
    shortlists,
    texts,
    train,
)
from bench.material.workshop import Workshop
from bench.records import Cell, Kind
from cookie.shortage import shortages


class Result(NamedTuple):
    """What a cell found out: results, raw samples, and a line for every batch that was halved."""

    values: Mapping[str, Any]
    samples: Mapping[str, Any]
    shortages: list[str]


class CellRunner(Protocol):
    """A kind of cell."""

    def __call__(
        self, workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Do the cell's work and return its values and raw samples."""
        ...


RUNNERS: Mapping[Kind, CellRunner] = {
    "train": train.run,
    "accuracy": accuracy.run,
    "images": images.run,
    "texts": texts.run,
    "efficiency": efficiency.run,
    "evaluations": evaluations.run,
    "latency": latency.run,
    "load": load.run,
    "growth": growth.run,
    "shortlists": shortlists.run,
    "shortlist_speed": shortlist_speed.run,
    "cost": cost.run,
}


def run_here(workshop: Workshop, cell: Cell, protocol: Mapping[str, Any]) -> Result:
    """Return what this process finds out for ``cell``."""
    with shortages() as told:
        values, samples = RUNNERS[cell.kind](workshop, cell.system, cell.seed, protocol)
    return Result(values, samples, told)
