"""One optimizer step of any system: its batch, its randomness, its update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from cookie.config import Config, TrainConfig
from cookie.interfaces import Corpus, IndexArray, TrainableSystem, TrainBatch
from cookie.training.checkpoint import load_optimizer, optimizer_tensors
from cookie.training.distributed import Processes
from cookie.training.gradients import Backpropagation
from cookie.training.negatives import queued_negatives
from cookie.training.order import step_generator
from cookie.training.precision import rate_share

_FIRST_IMAGE, _SECOND_IMAGE, _SECOND_TEXT, _MODEL, _PURPOSES = range(5)


class Trainee(TrainableSystem, Protocol):
    """What the trainer asks of a system; it is a :class:`torch.nn.Module` as well."""

    def parameter_groups(self, train: TrainConfig) -> list[dict[str, Any]]:
        """Return the optimizer's groups, each with ``params``, ``lr`` and ``weight_decay``."""
        ...


class Stepper:
    """Turns caption indices into optimizer steps.

    Args:
        module: the system, a :class:`Trainee`, on its device.
        corpus: the training split.
        config: all settings; the training's and the loss's are read.
        seed: everything random in a step is a function of it and of the step's number.
        processes: who trains together.
        device: of the module and the batches.
    """

    def __init__(
        self,
        module: nn.Module,
        corpus: Corpus,
        config: Config,
        seed: int,
        processes: Processes,
        device: torch.device,
    ) -> None:
        self.module = module
        self.corpus = corpus
        self.settings = settings = config.train
        self.seed = seed
        self.processes = processes
        self.device = device
        self._system = cast(Trainee, module)
        self._parameters = [value for value in module.parameters() if value.requires_grad]
        self.optimizer = _optimizer(self._system, settings, self._parameters)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self.negatives = queued_negatives(module, config, device)
        self._backpropagate = Backpropagation(
            processes, device, settings.precision, settings.micro_batch, self.negatives
        )
        self._backpropagate.check(self._system)

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The optimizer's groups, with the learning rates of the last step."""
        return self.optimizer.param_groups

    def batch(self, step: int, captions: IndexArray) -> TrainBatch:
        """Return this process's pairs of ``step``, with the views that the system asks for.

        Every system of a seed gets the same first image view and the captions as written.
        """
        mine = self.processes.share(captions)
        images = self.corpus.caption_image[mine]
        batch = TrainBatch(
            self.corpus.images(images, self._generator(step, _FIRST_IMAGE)), self.corpus.texts(mine)
        )
        view = self._system.text_view
        images_second = texts_second = None
        if self._system.image_views == 2:
            images_second = self.corpus.images(images, self._generator(step, _SECOND_IMAGE))
        if view is not None:
            texts_second = self.corpus.texts(mine, self._generator(step, _SECOND_TEXT), view)
        ids = None if self.negatives is None else torch.from_numpy(images).to(self.device)
        return TrainBatch(batch.images, batch.texts, images_second, texts_second, ids)

    def step(self, step: int, batch: TrainBatch) -> tuple[list[str], Tensor]:
        """Do optimizer step number ``step``; return its losses' names and values on the device."""
        self._set_rates(step)
        torch.manual_seed(self._generator(step, _MODEL).initial_seed())
        self.optimizer.zero_grad(set_to_none=True)
        # With several processes `batch` is a share of what order.pair_batches gave.
        count = len(batch) if self.processes.world == 1 else self.settings.batch_size
        loss = self._backpropagate(self._system, batch, count)
        self.processes.average_gradients(self._parameters)
        norm = nn.utils.clip_grad_norm_(self._parameters, self.settings.clip_norm)
        self.optimizer.step()
        if self.negatives is not None:
            self.negatives.follow(self.module)
        values = [loss.total, *loss.parts.values(), norm]
        table = torch.stack([value.detach().float().reshape(()) for value in values])
        return ["loss", *loss.parts, "gradient_norm"], table

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what a checkpoint must hold; parameters that do not train are left out."""
        named = self.module.named_parameters(remove_duplicate=False)
        still = {name for name, value in named if not value.requires_grad}
        tensors, facts = optimizer_tensors(self.optimizer)
        for name, tensor in self.module.state_dict().items():
            if name not in still:
                tensors[f"model/{name}"] = tensor
        if self.negatives is not None:
            kept = self.negatives.tensors()
            tensors |= {f"negatives/{name}": tensor for name, tensor in kept.items()}
        return tensors, facts

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take over what :meth:`tensors` returned."""
        self.module.load_state_dict(_part(tensors, "model/"), strict=False)
        if self.negatives is not None:
            self.negatives.load_state_dict(_part(tensors, "negatives/"), strict=False)
        load_optimizer(self.optimizer, tensors, facts)

    def _generator(self, step: int, purpose: int) -> torch.Generator:
        return step_generator(self.seed, step, purpose + _PURPOSES * self.processes.rank)

    def _set_rates(self, step: int) -> None:
        share = rate_share(step, self.settings.steps, self.settings.warmup)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``prefix``, under the rest of their names."""
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }


def _optimizer(
    system: Trainee, settings: TrainConfig, parameters: list[nn.Parameter]
) -> torch.optim.AdamW:
    """Return AdamW over the system's groups, which must name every training parameter once."""
    groups = [group for group in system.parameter_groups(settings) if group["params"]]
    named = [id(parameter) for group in groups for parameter in group["params"]]
    if sorted(named) != sorted(id(parameter) for parameter in parameters):
        raise ValueError("parameter_groups must name every parameter that trains exactly once")
    fused = all(parameter.device.type in {"cpu", "cuda"} for parameter in parameters)
    return torch.optim.AdamW(groups, fused=fused)
