"""Work for processes of their own, importable by name and quick to import."""

from __future__ import annotations

import os
import time
from pathlib import Path

MIB = 1 << 20


def hold(size: int) -> int:
    """Fill ``size`` bytes, so that they are resident, and let them go."""
    return len(b"x" * size)


def add(left: int, right: int) -> int:
    """Return the sum."""
    return left + right


def fail(message: str) -> None:
    """Raise."""
    raise LookupError(message)


def die() -> None:
    """End without a word, as a process does that the system kills."""
    os._exit(9)


def wait(seconds: float) -> None:
    """Take some time."""
    time.sleep(seconds)


def process_id() -> int:
    """Return who runs this."""
    return os.getpid()


def note_and_wait(path: str) -> None:
    """Write who runs this, and take more time than any test."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)
