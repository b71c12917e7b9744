"""What training took, a row a trained system: the last grid of table 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.findings.columns import SYSTEM, count, share
from bench.layout import Column, Grid, Marked, Value, duration
from bench.records import Record
from bench.systems import systems

if TYPE_CHECKING:
    from bench.findings.sections import View

TRAINING = (
    SYSTEM,
    Column("steps", "steps"),
    Column("seconds", "training", lambda text: text),
    Column("best_step", "best at step", lambda text: text),
    Column("trainable", "trained parameters", count),
)
GPU_BUSY = Column("gpu_busy", "GPU busy", lambda text: text)


def training_grid(view: View) -> Grid:
    """Return what training took; how busy it kept the GPU, where there was one."""
    rows = _rows(view)
    watched = bool(rows) and all("gpu_busy" in row for row in rows)
    return Grid((*TRAINING, GPU_BUSY) if watched else TRAINING, rows, "Training")


def _rows(view: View) -> list[dict[str, Value]]:
    """Return what training took, one row a trained system; several seeds are listed."""
    names = [n for n in systems if view.of("train", n) and not systems[n].variant]
    return [_row(view, name) for name in names]


def _row(view: View, name: str) -> dict[str, Value]:
    records = view.of("train", name)
    values = [record.values for record in records]
    watched = all("gpu_busy" in value for value in values)
    return {
        "system": systems[name].label,
        "steps": values[0]["steps"],
        "seconds": _seconds(records),
        "best_step": _each(values, "best_step", str),
        "trainable": values[0]["trainable_parameters"],
        **({"gpu_busy": _each(values, "gpu_busy", share)} if watched else {}),
    }


def _seconds(records: Sequence[Record]) -> Value:
    """Return the time of each seed, marked where they did not have the machine alike."""
    times = ", ".join(duration(record.values["seconds"]) for record in records)
    threads = [record.environment.get("threads", {}).get("torch") for record in records]
    if len(set(threads)) == 1:
        return times
    said = ", ".join(str(count) for count in threads)
    return Marked(
        times,
        f"With {said} torch threads, in this order, and often beside other work: these times are "
        "no measure of the architecture.",
    )


def _each(values: Sequence[Mapping[str, Any]], key: str, write: Callable[[Any], str]) -> str:
    return ", ".join(write(value[key]) for value in values)
