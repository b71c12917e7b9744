"""Runs cells in order, keeps what is finished, and writes each record as soon as it exists."""

from __future__ import annotations

import gc
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from bench.cells import (
    accuracy,
    cost,
    efficiency,
    growth,
    images,
    latency,
    shortlist_speed,
    shortlists,
    texts,
    train,
)
from bench.effort import growth_effort_of
from bench.environment import machine_state
from bench.histories import stored_samples
from bench.plan import GROWING
from bench.records import EVERY_SYSTEM, Cell, Kind, Ledger, Record, RecordStore, Stamp
from bench.systems import SHORTLIST, changes, systems
from bench.workshop import Workshop
from cookie.errors import UserError
from cookie.files import home
from cookie.training.checkpoint import read_facts
from cookie.training.journal import NAME
from cookie.training.trainer import BEST

NEIGHBORS = 10
"""Answers a query asks for."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run measures.

    Attributes:
        accuracy_seconds: for the scores of one system; what does not fit is sampled.
        force: whether to run finished cells again.
    """

    accuracy_seconds: float = 150.0
    force: bool = False


class Result(NamedTuple):
    """What a cell found out: results, and raw samples."""

    values: Mapping[str, Any]
    samples: Mapping[str, Any]


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
    "latency": latency.run,
    "growth": growth.run,
    "shortlists": shortlists.run,
    "shortlist_speed": shortlist_speed.run,
    "cost": cost.run,
}


class Runner:
    """Runs the cells of one section into one results folder."""

    def __init__(self, workshop: Workshop, results: Path, options: RunOptions) -> None:
        self.workshop = workshop
        self.options = options
        ledger = Ledger(home() / "finished")
        self.store = RecordStore(results, workshop.dataset.name, workshop.section, ledger)

    def run(self, cells: Sequence[Cell]) -> int:
        """Run what is not finished; return how many cells that were."""
        ran = 0
        for number, cell in enumerate(cells, 1):
            record = None if self.options.force else self.finished(cell, cells)
            if record is not None:
                self._complete(record)
                continue
            print(f"[{number}/{len(cells)}] {cell}", file=sys.stderr, flush=True)
            self._run(cell, cells)
            ran += 1
        return ran

    def finished(self, cell: Cell, cells: Sequence[Cell]) -> Record | None:
        """Return the record of a cell that was finished here with the same makings."""
        return self.store.finished(cell, self.stamp(cell, cells))

    def _complete(self, record: Record) -> None:
        """Give a training that was finished before records held its course the course it took.

        Its stamp names the weights, and only the run that left them has led here.
        """
        if record.cell.kind != "train" or record.samples:
            return
        journal = self.workshop.run_dir(record.cell.system, record.cell.seed) / NAME
        samples = stored_samples(journal, record.values)
        if samples is not None:
            self.store.write(replace(record, samples=samples))

    def _run(self, cell: Cell, cells: Sequence[Cell]) -> None:
        if cell.kind == "train" and self.options.force:
            shutil.rmtree(self.workshop.run_dir(cell.system, cell.seed), ignore_errors=True)
        before, started = machine_state(self.workshop.device).to_dict(), time.perf_counter()
        protocol = self.protocol(cell, cells)
        values, samples = RUNNERS[cell.kind](self.workshop, cell.system, cell.seed, protocol)
        seconds = time.perf_counter() - started
        self.store.write(self._record(cell, cells, Result(values, samples), seconds, before))
        gc.collect()
        if self.workshop.device.type == "cuda":
            torch.cuda.empty_cache()

    def _record(
        self,
        cell: Cell,
        cells: Sequence[Cell],
        result: Result,
        seconds: float,
        before: Mapping[str, Any],
    ) -> Record:
        workshop = self.workshop
        after = machine_state(workshop.device).to_dict()
        return Record(
            cell=cell,
            stamp=self.stamp(cell, cells),
            regime=workshop.config.regime,
            config=workshop.config.to_dict(),
            dataset_facts=workshop.dataset.facts(),
            hardware={"slug": workshop.section.hardware, "description": self._hardware()},
            environment=workshop.environment | {"before": before, "after": after},
            values=result.values,
            samples=result.samples,
            seconds=seconds,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _hardware(self) -> str:
        """Describe the machine in words."""
        facts = self.workshop.environment
        cpu = f"{facts['cores']} cores of {facts['cpu']}"
        return f"{facts['gpu']} ({cpu})" if facts["gpu"] else cpu

    def stamp(self, cell: Cell, cells: Sequence[Cell]) -> Stamp:
        """Return what a record has to agree with to be the cell's."""
        dataset = self.workshop.dataset
        return Stamp(
            dataset=dataset.name,
            dataset_sha256=dataset.sha256,
            preset=self.workshop.setup.preset,
            config_digest=self.workshop.config.digest(),
            protocol=self.protocol(cell, cells),
        )

    def protocol(self, cell: Cell, cells: Sequence[Cell]) -> dict[str, Any]:
        """Return the choices that decide a cell's result besides configuration and data.

        Of accuracy the hash of the weights is one: after another training it is stale.
        """
        common = {"limit": self.workshop.setup.limit}
        timed = [c.system for c in cells if c.kind == "efficiency"]
        timed = [name for name in timed if "latency" in systems[name].kinds]
        effort = self.workshop.effort.to_dict()
        weights = self._weights(_parts(cell.system), cell.seed)
        timing = {"neighbors": NEIGHBORS, "shortlist": SHORTLIST, "effort": effort}
        own: Mapping[Kind, Mapping[str, Any]] = {
            "train": {"weights": self._weights((cell.system,), cell.seed)} | self._variant(cell),
            "accuracy": {
                "weights": weights,
                "seconds": self.options.accuracy_seconds,
                "sample_seed": 0,
                "shortlist": SHORTLIST,
            },
            "images": {"weights": weights, "k": images.K},
            "texts": {"weights": weights},
            "efficiency": timing,
            "latency": {**timing, "systems": timed},
            "growth": {
                "gallery": cell.gallery,
                "neighbors": NEIGHBORS,
                "shortlist": SHORTLIST,
                "systems": list(GROWING),
                "effort": growth_effort_of(self.workshop.setup.preset).to_dict(),
            },
            "shortlists": {
                "weights": weights,
                "seconds": self.options.accuracy_seconds,
                "sample_seed": 0,
            },
            "shortlist_speed": {"neighbors": NEIGHBORS, "effort": effort},
            "cost": {
                "evaluation": [cost.IMAGES, cost.CAPTIONS],
                "batches": list(cost.BATCHES[self.workshop.device.type]),
                "effort": effort,
            },
        }
        return {**common, **own[cell.kind]}

    def _variant(self, cell: Cell) -> dict[str, Any]:
        """Return what a variant changes: its record stands beside those of the preset itself."""
        if cell.system not in systems or not systems[cell.system].variant:
            return {}
        changed = changes(self.workshop.config, self.workshop.settings(cell.system))
        return {"changed": changed, "train_share": systems[cell.system].train_share}

    def _weights(self, parts: Sequence[str], seed: int) -> list[str | None]:
        """Return the hash of each part's best weights, None where it is not trained here."""
        return [_weights_digest(self.workshop.run_dir(part, seed)) for part in parts]


def _parts(system: str) -> tuple[str, ...]:
    return () if system == EVERY_SYSTEM else systems[system].parts


def _weights_digest(folder: Path) -> str | None:
    try:
        facts = read_facts(folder, BEST)
    except UserError:
        return None
    return str(facts["sha256"])
