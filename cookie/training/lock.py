"""One training at a time in a folder: two would mix their logs and delete each other's files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from cookie.errors import UserError
from cookie.training.distributed import Processes

NAME = ".lock"


@contextmanager
def alone(folder: Path, processes: Processes, device: torch.device) -> Iterator[None]:
    """Keep other trainings out of ``folder``; the system lets go of it when the process ends.

    Of several processes that train together the first holds the lock for all.

    Raises:
        UserError: another process is training there; each of several processes says so.
    """
    lock = FileLock(folder / NAME)
    taken = _take(lock) if processes.main else True
    if not processes.from_main(float(taken), device):
        raise UserError(
            f"Another process is training in '{folder}': wait until it is done, or choose "
            "another folder."
        )
    try:
        yield
    finally:
        lock.release()


def _take(lock: FileLock) -> bool:
    """Return whether the lock is ours now; where the file system has no locks, it always is."""
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except NotImplementedError:
        return True
    return True
