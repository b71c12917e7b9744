"""How processes come to be a group: ``torchrun`` starts them and sets the environment read here."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import torch.distributed

from cookie.errors import UserError
from cookie.training.distributed import Processes, current

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

PATIENCE = datetime.timedelta(hours=12)
"""Wait for the others: one process may decode a large data set or validate for hours, and
``torchrun`` ends all of them at once when one dies."""


def local_device(device: torch.device) -> torch.device:
    """Return the device of this process: with several on a machine, each has a GPU of its own.

    Raises:
        UserError: there are more processes on it than GPUs.
    """
    if str(device) != "cuda" or "LOCAL_RANK" not in os.environ:  # no GPU, or one by number
        return device
    rank, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if rank >= count:
        raise UserError(
            f"This machine has no GPU for its process {rank + 1}: give torchrun a "
            f"--nproc-per-node of {count} at most, or name a device that they share."
        )
    return torch.device("cuda", rank)


@contextmanager
def process_group(device: torch.device) -> Iterator[Processes]:
    """Open the group that ``torchrun`` announced in the environment; close it at the end.

    Without ``WORLD_SIZE``, or with 1, nothing is opened. CUDA devices talk over NCCL, others gloo.
    Of errors the first alone is shown: where one process fails others fail too, for the same
    cause or because they miss it, and they leave with exit code 2 and without a word.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # where NCCL meets
    backend = "nccl" if device.type == "cuda" else "gloo"
    from torch.distributed.distributed_c10d import PrefixStore  # is not there on every system
    from torch.distributed.rendezvous import rendezvous

    store, rank, world = next(rendezvous("env://", timeout=PATIENCE))
    own = PrefixStore("group", store)
    try:  # another may fail and leave while this one is still connecting to it
        torch.distributed.init_process_group(
            backend, store=own, rank=rank, world_size=world, timeout=PATIENCE
        )
        yield current()
    except Exception:
        if not _first_to_fail(store):
            raise SystemExit(2) from None
        raise
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _first_to_fail(store: Store) -> bool:
    """Whether no other process has failed before; yes, where it cannot be asked any more."""
    try:
        return int(store.add("failed", 1)) == 1
    except RuntimeError:
        return True
