"""Where a cell keeps the scores of pairs until its record is written, and what they depend on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines.score_shards import ScoreShards
from bench.material.workshop import Workshop
from bench.records import EVERY_SYSTEM, Cell, Kind
from bench.systems import systems

_MACHINE = ("slug", "cpu", "threads", "packages", "commit")
"""Of the environment: what may change the last bit of a score."""


def kept_scores(
    workshop: Workshop, kind: Kind, system: str, seed: int, protocol: Mapping[str, Any]
) -> ScoreShards:
    """Return where a cell keeps its scores: beside the pair scorer's weights.

    Args:
        workshop: data, precision, machine.
        kind: of the cell.
        system: of the cell; the last of its parts scores the pairs.
        seed: of the cell.
        protocol: of the cell, with the hashes of all weights and the seed of the query sample.
    """
    machine = {name: workshop.environment[name] for name in _MACHINE}
    makings = {
        "dataset": workshop.dataset.sha256,
        "precision": workshop.precision,
        "protocol": dict(protocol),
        "machine": machine,
    }
    return ScoreShards(_folder(workshop, kind, system, seed), makings)


def remove_kept_scores(workshop: Workshop, cell: Cell) -> None:
    """Delete what a finished cell kept, whatever its makings were."""
    if cell.system != EVERY_SYSTEM and systems[cell.system].parts:
        ScoreShards(_folder(workshop, cell.kind, cell.system, cell.seed), {}).remove()


def _folder(workshop: Workshop, kind: Kind, system: str, seed: int) -> Path:
    scorer = systems[system].parts[-1]
    return workshop.run_dir(scorer, seed) / "scores" / f"{system}-{kind}"
