"""The course of a training, as its record holds it: losses, learning rates, validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.records import Record
from cookie.training.journal import read_history

POINTS = 200
"""Lines of a log that a record keeps at most."""
TIMES = ("samples_per_second", "wait_share", "gpu_busy")
"""What a log says of speed; the record's values say it for the whole training."""

Columns = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class History:
    """One training over its steps.

    Attributes:
        steps: places of ``losses``, each the mean since the log's line before it.
        validation_steps: places of ``scores``, RSUM on the validation split.
        best_step: of the weights that were kept.
    """

    steps: Sequence[float]
    losses: Sequence[float]
    validation_steps: Sequence[float]
    scores: Sequence[float]
    best_step: int


def history_of(record: Record) -> History | None:
    """Return the training's course, None where the record holds none."""
    if not record.samples:
        return None
    log, validation = record.samples["log"], record.samples["validation"]
    return History(
        log["step"],
        log["loss"],
        validation["step"],
        validation["score"],
        record.values["best_step"],
    )


def samples_of(path: Path, points: int = POINTS) -> dict[str, Columns]:
    """Return a run's journal as a train record holds it: ``log`` and ``validation``, by column.

    Of more than ``points`` lines some are left out, evenly; the first, the last and the best
    validation stay. Lines keep what they said: nothing is averaged over what was left out.
    """
    lines = read_history(path)
    log = [line for line in lines if "loss" in line]
    scores = [
        {"step": line["step"], "score": line["validation"]}
        for line in lines
        if "validation" in line
    ]
    best = max(range(len(scores)), key=lambda i: (scores[i]["score"], -i), default=0)
    return {
        "log": _columns([log[i] for i in kept(len(log), points)]),
        "validation": _columns([scores[i] for i in kept(len(scores), points, best)]),
    }


def kept(count: int, points: int, always: int = 0) -> list[int]:
    """Return which of ``count`` lines are kept: all, or about ``points`` evenly and ``always``."""
    if count <= points:
        return list(range(count))
    even = np.linspace(0, count - 1, points - 1).round().astype(int).tolist()
    return sorted({*even, always})


def problems(samples: Mapping[str, Columns], values: Mapping[str, Any]) -> list[str]:
    """Return in which ways ``samples`` are not the course of the training that gave ``values``."""
    log, validation = samples["log"], samples["validation"]
    found = [
        f"the {name} lacks some values of its columns."
        for name, columns in (("log", log), ("validation", validation))
        if len({len(column) for column in columns.values()}) != 1 or not columns.get("step")
    ]
    if found:
        return found
    for name, steps in (("log", log["step"]), ("validation", validation["step"])):
        if any(later <= earlier for earlier, later in pairwise(steps)):
            found.append(f"the steps of the {name} do not go up.")
        if steps[-1] != values["steps"]:
            found.append(f"the {name} ends at step {steps[-1]}, the training at {values['steps']}.")
    scores = dict(zip(validation["step"], validation["score"], strict=True))
    best = values.get("best_validation", max(scores.values()))
    if not scores.get(values["best_step"]) == max(scores.values()) == best:
        found.append(f"its validation is not best at step {values['best_step']} with {best}.")
    return found


def stored_samples(path: Path, values: Mapping[str, Any]) -> dict[str, Columns] | None:
    """Return the samples of a finished run's journal, None where it is not (all) there."""
    try:
        samples = samples_of(path)
        wrong = problems(samples, values)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return None if wrong else samples


def _columns(lines: Sequence[Mapping[str, float]]) -> Columns:
    """Return the lines by column, without what they say of speed."""
    if not lines:
        return {"step": []}
    everywhere = set.intersection(*map(set, lines)) - {*TIMES}
    names = [name for name in lines[0] if name in everywhere]
    return {name: [line[name] for line in lines] for name in names}
