"""A cell in a process of its own: what ran before it cannot color its figures.

A process that has trained holds freed memory in its allocators, warm caches and threads that
another cell set up; which cells came before would then be a part of every time.
"""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Mapping
from typing import Any

import torch

from bench.failures import reason_of
from bench.material.workshop import Setup, Workshop
from bench.measure.process import ProcessError, run_in_fresh_process
from bench.records import Cell
from bench.running.cell_runners import Result, run_here
from cookie.errors import UserError


def run_alone(workshop: Workshop, cell: Cell, protocol: Mapping[str, Any]) -> Result:
    """Return what a fresh process finds out for ``cell``, with the settings of ``workshop``.

    Raises:
        UserError: the cell has no result; the reason is the process's own, or that it was killed.
    """
    setup = dataclasses.replace(workshop.setup, config=workshop.config)
    threads = torch.get_num_threads()
    try:
        found = run_in_fresh_process(_work, setup, cell, dict(protocol), threads).value
    except ProcessError as error:
        if error.exit_code != -signal.SIGKILL:
            raise
        raise UserError("Its process was killed, as a machine out of memory does.") from None
    if isinstance(found, str):
        raise UserError(found)
    return found


def _work(setup: Setup, cell: Cell, protocol: Mapping[str, Any], threads: int) -> Result | str:
    """Do the cell's work; return why it has no result, where what failed concerns it alone."""
    torch.set_num_threads(threads)
    try:
        return run_here(Workshop(setup), cell, protocol)
    except (UserError, MemoryError, RuntimeError) as error:
        reason = reason_of(error)
        if reason is None:
            raise
        return reason
