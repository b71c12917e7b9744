"""The processes that train together; one process is the ordinary case and costs nothing.

The trainer asks a :class:`Processes` which part of a batch is its own and hands it the gradients;
models know nothing of it. Start several with ``torchrun``, which sets the environment read here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor

from cookie.errors import UserError
from cookie.interfaces import IndexArray


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among its peers.

    Attributes:
        rank: of this process, from 0.
        world: number of processes.
    """

    rank: int = 0
    world: int = 1

    @property
    def main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, indices: IndexArray) -> IndexArray:
        """Return this process's part of a step's ``indices``; the parts are equally long.

        Raises:
            UserError: the batch cannot be divided evenly, which would weight pairs unequally.
        """
        if len(indices) % self.world:
            raise UserError(
                f"A batch of {len(indices)} cannot be divided among {self.world} processes: "
                "choose a train.batch_size that can."
            )
        size = len(indices) // self.world
        return indices[self.rank * size : (self.rank + 1) * size]

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace every gradient by its mean over the processes, in one exchange.

        A parameter without a gradient here may have one elsewhere, so it counts as zero.
        """
        if self.world == 1:
            return
        wanted = [parameter for parameter in parameters if parameter.requires_grad]
        for parameter in wanted:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in wanted if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        parts = torch.split(flat.div_(self.world), [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            torch.distributed.barrier()


def current() -> Processes:
    """Return this process's place, a single one unless a process group is open."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return Processes(torch.distributed.get_rank(), torch.distributed.get_world_size())
    return Processes()


@contextmanager
def process_group(device: torch.device) -> Iterator[Processes]:
    """Open the group that ``torchrun`` announced in the environment; close it at the end.

    Without ``WORLD_SIZE``, or with 1, nothing is opened. CUDA devices talk over NCCL, others gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield current()
    finally:
        torch.distributed.destroy_process_group()
