"""A function run in a process of its own, with the memory that process took at its peak."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

R = TypeVar("R")
STATUS = Path("/proc/self/status")


class ProcessError(RuntimeError):
    """The function raised, its process died, or it did not end in time.

    Attributes:
        exit_code: of a process that died (-9: killed), None otherwise.
    """

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class FreshResult(Generic[R]):
    """What a function returned, and what its process used.

    Attributes:
        value: the function's result.
        seconds: wall time of the function alone, without the start of the process.
        peak_rss_bytes: largest resident memory of that process; None with ``reason``.
        rss_before_bytes: largest resident memory before the function began: the interpreter
            and the imports.
    """

    value: R
    seconds: float
    peak_rss_bytes: int | None
    rss_before_bytes: int | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers without the value, JSON-able."""
        return {
            "seconds": self.seconds,
            "peak_rss_bytes": self.peak_rss_bytes,
            "rss_before_bytes": self.rss_before_bytes,
            "reason": self.reason,
        }


def peak_rss_bytes() -> int | None:
    """Return the largest resident memory of this process so far, or None where unreadable.

    On Linux the kernel's high-water mark of the present address space. ``ru_maxrss`` will not do
    there: it survives ``exec``, so that a new process starts with its parent's peak.
    """
    if STATUS.exists():
        lines = STATUS.read_text().splitlines()
        marks = [line.split() for line in lines if line.startswith("VmHWM:")]
        return int(marks[0][1]) * 1024 if marks else None
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def run_in_fresh_process(
    function: Callable[..., R], *arguments: object, timeout_s: float | None = None
) -> FreshResult[R]:
    """Return ``function(*arguments)`` as a new interpreter computes it, with its peak memory.

    The process ends with this one, however this one ends.

    Args:
        function: importable by name (defined at a module's top level).
        arguments: picklable.
        timeout_s: seconds after which the process is ended, its start included.

    Raises:
        ProcessError: with the child's traceback, its exit code (-9: killed, as a machine out of
            memory does) or the time-out.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(there, function, arguments), daemon=False)
    process.start()
    there.close()
    try:
        outcome = _receive(here, function, timeout_s)
        process.join()
    finally:
        here.close()
        _end(process)
    if outcome is None:
        code = process.exitcode
        raise ProcessError(f"{function.__name__} ended with exit code {code}", code)
    if isinstance(outcome, str):
        raise ProcessError(f"{function.__name__} raised in its process:\n{outcome}")
    return outcome


def _receive(
    here: Connection, function: Callable[..., R], timeout_s: float | None
) -> FreshResult[R] | str | None:
    """Return the child's answer, None where it died without one."""
    if not here.poll(timeout_s):
        raise ProcessError(f"{function.__name__} did not end within {timeout_s:g} s")
    try:
        outcome: FreshResult[R] | str = here.recv()
    except EOFError:
        return None
    return outcome


def _end(process: multiprocessing.process.BaseProcess) -> None:
    """End ``process`` if it still runs: after a time-out or Ctrl-C."""
    if process.is_alive():
        process.terminate()
        process.join(5.0)
    if process.is_alive():
        process.kill()
    process.join()


def _child(
    there: Connection, function: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    _end_with_parent()
    try:
        there.send(_measured(function, arguments))
    except Exception:
        there.send(traceback.format_exc())
    finally:
        there.close()


def _end_with_parent() -> None:
    """Leave at once, and silently, on Ctrl-C or when the parent is gone: nobody would listen."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_after, args=(parent.sentinel,), daemon=True).start()


def _leave_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _measured(
    function: Callable[..., object], arguments: tuple[object, ...]
) -> FreshResult[object]:
    before, start = peak_rss_bytes(), time.perf_counter()
    value = function(*arguments)
    seconds, peak = time.perf_counter() - start, peak_rss_bytes()
    reason = None if peak is not None else f"no peak memory to be read on {sys.platform}"
    return FreshResult(value, seconds, peak, before, reason)
