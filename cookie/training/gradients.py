"""How a step's loss becomes gradients: at once, across processes, or in micro-batches.

A contrastive loss wants a large batch, whose activations may not fit in memory. Gradient caching
(Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021)
takes it apart: embed all micro-batches without a graph, differentiate the whole batch's loss with
respect to the embeddings, then embed each micro-batch again with a graph, under the same random
numbers, and carry its rows' gradients on to the weights. The result is exact as long as a row's
embedding depends on no other row (a batch norm in training mode would see micro-batches).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cookie.errors import UserError
from cookie.interfaces import ContrastiveSystem, LossOutput, TrainableSystem, TrainBatch
from cookie.nn.batches import split_batch
from cookie.training.distributed import Processes
from cookie.training.negatives import QueuedNegatives
from cookie.training.precision import Precision, autocast


@dataclass(frozen=True, slots=True)
class Backpropagation:
    """Computes the loss of a step and adds its gradients to the parameters'.

    Gradients are to be averaged over the processes; see :meth:`Processes.average_gradients`.

    Attributes:
        processes: who trains together.
        device: of the system and the batches.
        precision: of the forward passes.
        micro_batch: pairs whose activations are held at a time; None for all.
        negatives: from outside the batch; None for the batch alone.
    """

    processes: Processes
    device: torch.device
    precision: Precision
    micro_batch: int | None = None
    negatives: QueuedNegatives | None = None

    def check(self, system: TrainableSystem) -> None:
        """Raise :class:`UserError` where ``system`` cannot be trained in micro-batches."""
        if self.micro_batch is None:
            return
        if self.micro_batch < 1:
            raise UserError(f"train.micro_batch is {self.micro_batch}: choose 1 or more.")
        if not isinstance(system, ContrastiveSystem):
            raise UserError(
                f"The loss of {type(system).__name__} reads more than embeddings, so it cannot be "
                "trained in micro-batches: leave train.micro_batch out."
            )

    def __call__(self, system: TrainableSystem, batch: TrainBatch, count: int) -> LossOutput:
        """Return the loss, its gradients added.

        Args:
            system: in training mode.
            batch: this process's pairs.
            count: pairs of all processes.
        """
        if not isinstance(system, ContrastiveSystem):
            return self._own(system, batch, count)
        if self.micro_batch is None or self.micro_batch >= len(batch):
            with self._autocast():
                loss = self._contrast(system, system.embed(batch), [batch], count)
            _backward(loss.total)
            return loss
        return self._cached(system, split_batch(batch, self.micro_batch), count)

    def _own(self, system: TrainableSystem, batch: TrainBatch, count: int) -> LossOutput:
        """Take the loss of this process's pairs alone, weighted by how many they are.

        The mean over the processes is then the mean over all pairs.
        """
        with self._autocast():
            loss = system.training_loss(batch)
        share = len(batch) * self.processes.world / count
        _backward(loss.total if share == 1 else loss.total * share)
        return loss

    def _cached(self, system: ContrastiveSystem, parts: list[TrainBatch], count: int) -> LossOutput:
        states, embedded = [], []
        for part in parts:
            states.append(_random_state(self.device))
            with torch.no_grad(), self._autocast():
                embedded.append(system.embed(part))
        leaves = [torch.cat(pieces).requires_grad_() for pieces in zip(*embedded, strict=True)]
        with self._autocast():
            loss = self._contrast(system, leaves, parts, count)
        _backward(loss.total)
        sizes = [len(part) for part in parts]
        cached = [torch.split(_gradient(leaf), sizes) for leaf in leaves]
        for part, state, gradients in zip(parts, states, zip(*cached, strict=True), strict=True):
            _restore(self.device, state)
            # A context of its own each time: autocast would hand out the weights that it has
            # converted, and those of the first pass have no graph.
            with self._autocast():
                again = system.embed(part)
            torch.autograd.backward(again, gradients)
        return loss

    def _contrast(
        self,
        system: ContrastiveSystem,
        embedded: Sequence[Tensor],
        parts: Sequence[TrainBatch],
        count: int,
    ) -> LossOutput:
        """Return the loss of all processes' pairs, of which ``parts`` are this one's."""
        gather = partial(self.processes.gather, count=count)
        if self.negatives is None:
            return system.contrast(gather(embedded))
        return self.negatives.contrast(system, gather(embedded), parts, gather)

    def _autocast(self) -> torch.autocast:
        return autocast(self.device, self.precision)


def _backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def _gradient(leaf: Tensor) -> Tensor:
    """Return the gradient of ``leaf``, 0 where the loss does not read it."""
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _random_state(device: torch.device) -> tuple[Tensor, ...]:
    """Return the state of the CPU's random numbers and of the device's."""
    own = torch.get_rng_state()
    return (own, torch.cuda.get_rng_state(device)) if device.type == "cuda" else (own,)


def _restore(device: torch.device, state: tuple[Tensor, ...]) -> None:
    torch.set_rng_state(state[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[1], device)
