"""The same CLIP, weights, pairs and rates in two training loops: this suite's and open_clip's own.

open_clip trains with ``open_clip_train.train.train_one_epoch``, which is called as it is, on a
loader of pairs that are ready on the device. Ours is the trainer's :class:`Stepper` with its loss
window, on the same pairs. Both clip gradients, follow the same warm-up and cosine, and learn with
AdamW under open_clip's rule of what decays.
"""

from __future__ import annotations

import copy
import math
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.pretrained.open_clip import OpenClip
from bench.rivals.clip_pairs import Pairs
from cookie.batches import IndexArray, TextView, TrainBatch
from cookie.config import Config, TrainConfig
from cookie.interfaces import LossOutput
from cookie.nn.losses import info_nce
from cookie.training.distributed import Processes
from cookie.training.guard import LossWindow
from cookie.training.precision import Precision
from cookie.training.step import Stepper

LARGEST_SCALE = math.log(100)
"""Of the inverse temperature's logarithm (Radford et al., 2021); open_clip's loop has it too."""
NAMES: dict[Precision, str] = {"float32": "fp32", "bfloat16": "amp_bf16"}
"""What open_clip calls the precisions."""


class ClipTrainee(nn.Module):
    """A CLIP as this suite trains one: a ``ContrastiveSystem`` and a ``Trainee``.

    Args:
        model: of open_clip.
        cut: whether captions are cut to the longest of a batch, which changes no result.
    """

    image_views: int = 1
    text_view: TextView | None = None
    text_layers: int | None = None

    def __init__(self, model: nn.Module, *, cut: bool = False) -> None:
        super().__init__()
        self.clip = OpenClip(model, (0.0,) * 3, (1.0,) * 3)
        self.clip.shortens = self.clip.shortens and cut

    def training_loss(self, batch: TrainBatch) -> LossOutput:
        """Return CLIP's loss of one batch."""
        return self.contrast(self.embed(batch))

    def embed(self, batch: TrainBatch) -> tuple[Tensor, ...]:
        """Return (B, D) for the images and (B, D) for the captions."""
        return self.clip.encode_images(batch.images), self.clip.encode_texts(batch.texts)

    def contrast(self, embeddings: tuple[Tensor, ...]) -> LossOutput:
        """Return the loss of what :meth:`embed` returns; the scale is held at most at 100."""
        scale = self.clip.model.logit_scale
        with torch.no_grad():
            scale.clamp_(0, LARGEST_SCALE)
        images, texts = embeddings
        loss = info_nce(images, texts, scale.exp())
        return LossOutput(loss, {"image_text": loss.detach()})

    def parameter_groups(self, train: TrainConfig) -> list[dict[str, Any]]:
        """Return AdamW groups as open_clip makes them."""
        return clip_groups(self.clip.model, train)


def clip_groups(model: nn.Module, train: TrainConfig) -> list[dict[str, Any]]:
    """Return AdamW groups by open_clip's rule: vectors, norms, biases and the scale do not decay.

    The rule is that of ``open_clip_train.main``.
    """
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        still = parameter.ndim < 2 or any(part in name for part in ("bn", "ln", "bias"))
        (others if still else decaying).append(parameter)
    rate = {"lr": train.learning_rate}
    return [
        rate | {"params": others, "weight_decay": 0.0},
        rate | {"params": decaying, "weight_decay": train.weight_decay},
    ]


@dataclass(slots=True)
class _Loader:
    """What open_clip's loop asks of a data set and its loader; both in one."""

    pairs: Pairs
    order: Sequence[IndexArray]

    @property
    def dataloader(self) -> _Loader:
        return self

    @property
    def num_batches(self) -> int:
        return len(self.order)

    @property
    def num_samples(self) -> int:
        return sum(map(len, self.order))

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: every epoch has the same order."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.pairs.batches(self.order)


class ClipLoops:
    """A CLIP, pairs for one epoch, and loops that each train a copy of it.

    Args:
        model: of open_clip; copies of it are trained.
        device: where.
        precision: of the forward passes.
        batch_size: pairs a step. steps: of an epoch.
        total: steps that the rates are planned for, over all epochs.
    """

    def __init__(
        self,
        model: nn.Module,
        device: str,
        precision: Precision,
        batch_size: int,
        steps: int,
        total: int = 10_000,
    ) -> None:
        self.model, self.device = model, torch.device(device)
        self.pairs = Pairs(model, batch_size * steps, device)
        self.order = np.split(np.arange(batch_size * steps, dtype=np.int64), steps)
        self.train = replace(
            TrainConfig(), steps=total, batch_size=batch_size, precision=precision, warmup=0.1
        )

    def ours(self, *, cut: bool = False) -> Callable[[], Tensor]:
        """Return an epoch in this suite's trainer; a call returns the mean loss."""
        trainee = ClipTrainee(self._copy(), cut=cut).train()
        config = Config(preset="clip", regime="scratch", train=self.train)
        stepper = Stepper(trainee, self.pairs, config, 0, Processes(), self.device)
        window, done = LossWindow(self.train, Path("benchmark")), 0

        def run() -> Tensor:
            nonlocal done
            for indices in self.order:
                window.add(*stepper.step(done, stepper.batch(done, indices)))
                done += 1
            return torch.tensor(window.flush(done, 0)["loss"])

        return run

    def theirs(self) -> Callable[[], Tensor]:
        """Return an epoch in open_clip's loop; a call returns the loss of its last step."""
        import open_clip  # type: ignore[import-untyped]
        from open_clip_train.scheduler import cosine_lr  # type: ignore[import-untyped]
        from open_clip_train.train import train_one_epoch  # type: ignore[import-untyped]

        model, settings = self._copy(), self.train
        optimizer = torch.optim.AdamW(clip_groups(model, settings))
        warm = round(settings.warmup * settings.steps)
        scheduler = cosine_lr(optimizer, settings.learning_rate, warm, settings.steps)
        loss, data = _Kept(open_clip.ClipLoss()), {"train": _Loader(self.pairs, self.order)}
        epoch = 0

        def run() -> Tensor:
            nonlocal epoch
            args = self._arguments()
            train_one_epoch(model, data, loss, epoch, optimizer, None, scheduler, None, args)
            epoch += 1
            return loss.last

        return run

    def _copy(self) -> nn.Module:
        return copy.deepcopy(self.model).to(self.device)

    def _arguments(self) -> Namespace:
        """Return the options that open_clip's loop reads; it logs once an epoch, as ours does."""
        return Namespace(
            device=str(self.device),
            precision=NAMES[self.train.precision],
            batch_size=self.train.batch_size,
            grad_clip_norm=self.train.clip_norm,
            log_every_n_steps=len(self.order),
            **{"accum_freq": 1, "rank": 0, "local_rank": 0, "world_size": 1},
            **{"distill": False, "skip_scheduler": False, "horovod": False, "wandb": False},
        )


class _Kept(nn.Module):
    """A loss that remembers its last value, which open_clip's loop only logs."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss, self.last = loss, torch.tensor(math.nan)

    def forward(self, **features: Any) -> dict[str, Tensor]:  # noqa: ANN401 -- handed through
        found: dict[str, Tensor] = self.loss(**features)
        self.last = found["contrastive_loss"].detach()
        return found
