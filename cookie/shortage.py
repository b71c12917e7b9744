"""Too little memory: how it shows, and that work goes on with less at a time."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_LOG = logging.getLogger("cookie.shortage")
_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def is_shortage(error: BaseException) -> bool:
    """Return whether ``error`` says that the memory of host or device does not suffice.

    Besides the two classes of their own these are plain ``RuntimeError``: of the CPU's allocator,
    and of CUDA's libraries.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS)


@contextmanager
def shortages() -> Iterator[list[str]]:
    """Yield a list that gets a line for every batch that is halved in the block; all are shown."""
    told = _Told()
    _LOG.addHandler(told)
    try:
        yield told.lines
    finally:
        _LOG.removeHandler(told)


class _Told(logging.Handler):
    """Keeps and shows what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line and show it."""
        self.lines.append(record.getMessage())
        print(record.getMessage(), file=sys.stderr, flush=True)


def tell_halved(size: int, what: str) -> int:
    """Say in a line that ``size`` of ``what`` do not fit; return how many to try next."""
    _LOG.warning("out of memory with %s %s at a time: going on with %s", size, what, size // 2)
    return size // 2
