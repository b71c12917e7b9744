"""The processes that work together; one process is the ordinary case and costs nothing.

The trainer asks a :class:`Processes` which part of a batch is its own, has it put the parts'
embeddings together, and hands it the gradients; encoding and evaluation ask it for a run of
batches and for sums. Models know nothing of it. How several come to be a group is in
:mod:`cookie.training.group`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor

from cookie.errors import UserError
from cookie.interfaces import IndexArray

_Value = TypeVar("_Value")


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
        return [len(run) for run in self.runs(count)]

    def runs(self, count: int) -> list[range]:
        """Return which of ``count`` things each process has: neighbors, none if they are few."""
        each, more = divmod(count, self.world)
        starts = [rank * each + min(rank, more) for rank in range(self.world + 1)]
        return [range(*ends) for ends in itertools.pairwise(starts)]

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

    def assemble(self, own: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return the rows of all processes, one process after the other, on every process.

        Each part is sent once and as it is; a process holds its own part and the whole.

        Args:
            own: (rows of this process, D); a process without rows may not know D.
            sizes: rows of each process.
        """
        if self.world == 1:
            return own
        width = self.most(torch.tensor(own.shape[1], device=meeting_device()))
        whole = torch.empty(sum(sizes), int(width), device=meeting_device())
        for rank, part in enumerate(torch.split(whole, list(sizes))):
            if rank == self.rank and len(part):
                part.copy_(own)
            if len(part):
                _exchange(lambda: torch.distributed.broadcast(part, rank))  # noqa: B023 -- called now
        return whole

    def total(self, values: Tensor) -> Tensor:
        """Put the sum of every process's ``values`` in their place, and return it."""
        if self.world > 1:
            _exchange(lambda: torch.distributed.all_reduce(values))
        return values

    def most(self, values: Tensor) -> Tensor:
        """Put the largest of every process's ``values`` in their place, and return it."""
        if self.world > 1:
            operation = torch.distributed.ReduceOp.MAX
            _exchange(lambda: torch.distributed.all_reduce(values, operation))
        return values

    def collect(self, value: _Value) -> list[_Value]:
        """Return what each process gave as ``value``, any small object, by rank."""
        found = [value] * self.world
        if self.world > 1:
            _exchange(lambda: torch.distributed.all_gather_object(found, value))
        return found

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
            _exchange(torch.distributed.barrier)


def _exchange(operation: Callable[[], Any]) -> None:
    """Exchange something; a peer that is gone is said in a sentence."""
    try:
        operation()
    except RuntimeError as error:
        raise UserError(
            "Another process has ended without a word, as one does that is killed for want of "
            f"memory: start fewer, or see what the system says ({error})."
        ) from None


ALONE = Processes()
"""One process by itself."""


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


def meeting_device() -> torch.device:
    """Return where tensors have to be to be exchanged: NCCL wants them on this process's GPU."""
    if torch.distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
