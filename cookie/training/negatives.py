"""Negatives from outside the batch: what a training keeps for them beside the model.

As an optimizer's state does, queue and moving average belong to the training: a checkpoint holds
them, what inference loads and counts does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from cookie.config import Config
from cookie.errors import UserError
from cookie.interfaces import ContrastiveSystem, LossOutput, TrainBatch
from cookie.nn.momentum import MovingAverage
from cookie.nn.queue import Queue

Gather = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]
"""Puts the rows of all processes together; see :meth:`Processes.gather`."""


class QueuedNegatives(nn.Module):
    """A queue of embeddings and, for ``momentum``, the moving average that makes them.

    Every process queues the rows of all, so all have the same queue.

    Args:
        system: whose loss is taken.
        config: its settings; ``loss.negatives`` is not ``in_batch``.

    Raises:
        UserError: the settings do not fit together.
    """

    def __init__(self, system: nn.Module, config: Config) -> None:
        super().__init__()
        _check(config)
        self.queue = Queue(config.loss.queue_size, config.head.embedding)
        moving = config.loss.negatives == "momentum"
        self.average = MovingAverage(system, config.loss.momentum) if moving else None

    def contrast(
        self,
        system: ContrastiveSystem,
        embeddings: tuple[Tensor, ...],
        parts: Sequence[TrainBatch],
        gather: Gather,
    ) -> LossOutput:
        """Return the loss of a batch, and queue the batch for those to come.

        Args:
            system: in training mode.
            embeddings: (B, D) for every view, the rows of all processes.
            parts: this process's pairs, as they are to be embedded, one part after the other.
            gather: gives the rows of all processes for those of this one.
        """
        (ids,) = gather((_ids(parts)[:, None],))
        keys = None if self.average is None else _pair(gather(_keys(self.average, parts)))
        loss = system.contrast(embeddings, self.queue.outside(ids[:, 0], keys))
        newest = keys or (embeddings[0], embeddings[system.image_views])  # of the first views
        self.queue.enqueue(*newest, ids[:, 0])
        return loss

    def follow(self, system: nn.Module) -> None:
        """Let the moving average follow an optimizer step."""
        if self.average is not None:
            self.average.follow(system)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint must hold, under the names of :meth:`state_dict`."""
        queue = {f"queue.{name}": tensor for name, tensor in self.queue.state_dict().items()}
        kept = {} if self.average is None else self.average.tensors()
        return queue | {f"average.{name}": tensor for name, tensor in kept.items()}


def queued_negatives(
    system: nn.Module, config: Config, device: torch.device
) -> QueuedNegatives | None:
    """Return what ``config.loss.negatives`` asks for, on ``device``; None for the batch alone.

    Raises:
        UserError: the settings do not fit together, or ``system`` cannot look outside the batch.
    """
    if config.loss.negatives == "in_batch":
        return None
    if not isinstance(system, ContrastiveSystem):
        raise UserError(
            f"The loss of {type(system).__name__} reads more than embeddings, so it takes its "
            "negatives from the batch: leave loss.negatives out."
        )
    return QueuedNegatives(system, config).to(device)


def _check(config: Config) -> None:
    loss, rows = config.loss, config.train.batch_size
    if loss.queue_size < rows:
        raise UserError(
            f"loss.queue_size is {loss.queue_size}, which does not hold a batch of {rows}: "
            f"choose {rows} or more."
        )
    if not 0 <= loss.momentum < 1:
        raise UserError(f"loss.momentum is {loss.momentum}: choose 0 or more, and less than 1.")


def _ids(parts: Sequence[TrainBatch]) -> Tensor:
    found = [part.image_ids for part in parts if part.image_ids is not None]
    if len(found) < len(parts):
        raise ValueError("a batch has no image ids to know its own pairs in the queue by")
    return torch.cat(found)


def _keys(average: MovingAverage, parts: Sequence[TrainBatch]) -> list[Tensor]:
    made = [average.embed(part.images, part.texts) for part in parts]
    return [torch.cat(rows) for rows in zip(*made, strict=True)]


def _pair(rows: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    images, texts = rows
    return images, texts
