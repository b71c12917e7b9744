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
from typing import Any

import torch

from bench.cells.kept_scores import remove_kept_scores
from bench.effort import OWN_PROCESS
from bench.environment import machine_state
from bench.failures import FailureStore, reason_of, without
from bench.findings.histories import stored_samples
from bench.hardware import describe
from bench.material.workshop import Workshop
from bench.pages.provenance import SHARED, TIMED, shares_gpu
from bench.plan import needed
from bench.records import Cell, Record, Stamp
from bench.running.cell_runners import Result, run_here
from bench.running.outcome import Outcome
from bench.running.own_process import run_alone
from bench.running.protocols import protocol
from bench.running.record_store import Ledger, RecordStore
from bench.systems import systems
from cookie.errors import UserError
from cookie.files import home
from cookie.training.journal import NAME


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run measures.

    Attributes:
        accuracy_seconds: for the scores of one system; what does not fit is sampled.
        force: whether to run finished cells again.
    """

    accuracy_seconds: float = 150.0
    force: bool = False


class Runner:
    """Runs the cells of one section into one results folder."""

    def __init__(self, workshop: Workshop, results: Path, options: RunOptions) -> None:
        self.workshop = workshop
        self.options = options
        ledger = Ledger(home() / "finished")
        name, section = workshop.dataset.name, workshop.section
        self.store = RecordStore(results, name, section, ledger)
        self.failures = FailureStore(results, name, section)

    def run(self, cells: Sequence[Cell]) -> Outcome:
        """Run what is not finished; a cell that fails is kept as such, and the others go on.

        Raises:
            UserError: cells failed and none could be run, so that it is no matter of one cell.
        """
        ran, failed = 0, dict[Cell, str]()
        for number, cell in enumerate(cells, 1):
            record = None if self.options.force else self.finished(cell, cells)
            if record is not None:
                self._complete(record)
                continue
            print(f"[{number}/{len(cells)}] {cell}", file=sys.stderr, flush=True)
            lacking = [other for other in self.needs(cell, cells) if other in failed]
            reason = self.fail(cell, without(lacking[0])) if lacking else self.attempt(cell, cells)
            ran += reason is None
            failed |= {} if reason is None else {cell: reason}
        return Outcome(ran, failed).checked()

    def attempt(self, cell: Cell, cells: Sequence[Cell]) -> str | None:
        """Run a cell; return why it has no result, where what failed concerns the cell alone."""
        try:
            self._run(cell, cells)
        except (UserError, MemoryError, RuntimeError) as error:
            reason = reason_of(error)
            if reason is None:
                raise
        else:
            self.failures.clear(cell)
            reason = None
        self._tidy()
        return None if reason is None else self.fail(cell, reason)

    def fail(self, cell: Cell, reason: str) -> str:
        """Say and keep why a cell has no result; return it."""
        print(f"failed: {cell}: {reason}", file=sys.stderr, flush=True)
        self.failures.write(cell, reason)
        return reason

    def _tidy(self) -> None:
        gc.collect()
        if self.workshop.device.type == "cuda":
            torch.cuda.empty_cache()

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
        chosen = self.protocol(cell, cells)
        result = self._result(cell, chosen)
        seconds = time.perf_counter() - started
        state: dict[str, Any] = {"before": before}
        state |= {"shortages": result.shortages} if result.shortages else {}
        record = self._record(cell, cells, result, seconds, state)
        if cell.kind in TIMED and shares_gpu(record):
            print(f"{cell} was timed {SHARED}.", file=sys.stderr, flush=True)
        self.store.write(record)
        remove_kept_scores(self.workshop, cell)

    def _result(self, cell: Cell, chosen: Mapping[str, Any]) -> Result:
        if chosen.get("process") == OWN_PROCESS:
            self._tidy()  # the memory that this process keeps is missing from the other's
            return run_alone(self.workshop, cell, chosen)
        return run_here(self.workshop, cell, chosen)

    def _record(
        self,
        cell: Cell,
        cells: Sequence[Cell],
        result: Result,
        seconds: float,
        state: Mapping[str, Any],
    ) -> Record:
        workshop = self.workshop
        after = machine_state(workshop.device).to_dict()
        return Record(
            cell=cell,
            stamp=self.stamp(cell, cells),
            regime=workshop.config.regime,
            config=workshop.config.to_dict(),
            dataset_facts=workshop.dataset.facts(),
            hardware={
                "slug": workshop.section.hardware,
                "description": describe(workshop.device),
            },
            environment={**workshop.environment, **state, "after": after},
            values=result.values,
            samples=result.samples,
            seconds=seconds,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

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
        """Return the choices that decide a cell's result besides configuration and data."""
        return protocol(self.workshop, self.options.accuracy_seconds, cell, cells)

    def needs(self, cell: Cell, cells: Sequence[Cell]) -> list[Cell]:
        """Return the trainings of the plan that a cell works with."""
        one = [cell.system] if cell.system in systems else []
        wanted = needed(cell, self.protocol(cell, cells).get("systems", one))
        return [training for training in wanted if training in cells]
