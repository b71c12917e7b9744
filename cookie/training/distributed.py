"""The processes that train together; one process is the ordinary case and costs nothing.

The trainer asks a :class:`Processes` which part of a batch is its own, has it put the parts'
embeddings together, and hands it the gradients; models know nothing of it. Start several with
``torchrun``, which sets the environment read here.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor

from cookie.errors import UserError
from cookie.interfaces import IndexArray

PATIENCE = datetime.timedelta(hours=12)
"""Wait for the others: one process may decode a large data set or validate for hours, and
``torchrun`` ends all of them at once when one dies."""


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

    def sizes(self, count: int) -> list[int]:
        """Return how many of ``count`` pairs each process has; they differ by one at most.

        Raises:
            UserError: there are fewer pairs than processes.
        """
        if count < self.world:
            raise UserError(
                f"A batch of {count} leaves some of {self.world} processes without a pair: "
                "choose a larger train.batch_size or fewer processes."
            )
        each, more = divmod(count, self.world)
        return [each + (rank < more) for rank in range(self.world)]

    def share(self, indices: IndexArray) -> IndexArray:
        """Return this process's part of a step's ``indices``; the parts in order are the whole.

        Raises:
            UserError: there are fewer indices than processes.
        """
        sizes = self.sizes(len(indices))
        start = sum(sizes[: self.rank])
        return indices[start : start + sizes[self.rank]]

    def gather(self, embeddings: Sequence[Tensor], count: int) -> tuple[Tensor, ...]:
        """Return every process's rows of each of ``embeddings``, differentiable, in one exchange.

        Args:
            embeddings: (B of this process, D) each.
            count: rows of all processes; shared out as :meth:`share` does.

        Returns:
            (count, D) each, on every process the same.
        """
        if self.world == 1:
            return tuple(embeddings)
        widths = [part.shape[1] for part in embeddings]
        own = torch.cat(list(embeddings), dim=1)
        rows: Tensor = _AllGather.apply(own, self.sizes(count), self.rank)
        return torch.split(rows, widths, dim=1)

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace every gradient by its mean over the processes, in one exchange.

        A parameter without a gradient here may have one elsewhere, so it counts as zero.
        """
        # Why the mean gives the gradient of the whole batch's loss: after `gather` each of W
        # processes has that whole loss L, not a mean over its share. What comes after the gather
        # (a temperature) thus has dL in each process, and the mean of W equal gradients is dL.
        # What comes before it (encoders) gets through one process's rows W times its part of dL,
        # as the gather's backward adds up the same gradient from W copies of L, and the mean of
        # these is the sum of the parts. No share's size enters, so shares may differ.
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

    def from_main(self, value: float, device: torch.device) -> float:
        """Return what process 0 gave as ``value``."""
        if self.world == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=device)
        torch.distributed.broadcast(told, 0)
        return float(told)

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let process 0 run the block before the others do, which then find its files."""
        if not self.main:
            self.wait()
        yield
        if self.main:
            self.wait()

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            torch.distributed.barrier()


class _AllGather(torch.autograd.Function):
    """Rows of all processes, in order; backward adds up what they say of this process's rows.

    torch's own differentiable gathers want equally many rows everywhere, and their names have
    changed from version to version; the two collectives below have not.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, sizes: list[int], rank: int) -> Tensor:  # noqa: ANN401
        ctx.rows = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
        padded = F.pad(own, (0, 0, 0, max(sizes) - len(own))).contiguous()
        parts = [torch.empty_like(padded) for _ in sizes]
        torch.distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total[ctx.rows], None, None


def current() -> Processes:
    """Return this process's place, a single one unless a process group is open."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return Processes(torch.distributed.get_rank(), torch.distributed.get_world_size())
    return Processes()


def local_device(device: torch.device) -> torch.device:
    """Return the device of this process: with several on a machine, each has a GPU of its own."""
    if str(device) != "cuda" or "LOCAL_RANK" not in os.environ:  # no GPU, or one by number
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))


@contextmanager
def process_group(device: torch.device) -> Iterator[Processes]:
    """Open the group that ``torchrun`` announced in the environment; close it at the end.

    Without ``WORLD_SIZE``, or with 1, nothing is opened. CUDA devices talk over NCCL, others gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)  # where NCCL meets
    backend = "nccl" if device.type == "cuda" else "gloo"
    torch.distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield current()
    finally:
        torch.distributed.destroy_process_group()
