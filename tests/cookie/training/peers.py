"""Several processes that train together, and what one process would have done in their place."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cookie.config import Config
from cookie.data.catalog import load_dataset
from cookie.data.dataset import RetrievalDataset
from cookie.data.tokenizer import tokenizer_for
from cookie.features.corpora import build_corpora
from cookie.interfaces import Corpus, TrainBatch
from cookie.model import Cookie
from cookie.nn.batches import batch_rows
from cookie.presets import preset
from cookie.training.distributed import Processes, current
from cookie.training.step import Stepper

PRELOADED = [
    "cookie.features.corpora",
    "cookie.training.trainer",
    "torch._dynamo",  # what the first step of an optimizer would import
    "torch.distributed.nn",
    "torch.utils.tensorboard",
]
"""What takes seconds to import, and is imported once for all processes that tests start."""
Build = Callable[[Config, int], nn.Module]
Work = Callable[[Processes, Path], Mapping[str, Tensor]]
STEPS = 3
SEED = 5


@dataclasses.dataclass(frozen=True)
class Case:
    """One system under one setting; picklable, since other processes run it."""

    build: Build
    batch_size: int = 16
    micro_batch: int | None = None
    views: str = "info_nce"
    negatives: str = "in_batch"
    queue_size: int = 4096

    @property
    def config(self) -> Config:
        """Smoke settings without dropout, whose masks depend on how rows are shared out."""
        base = preset("smoke")
        return dataclasses.replace(
            base,
            text=dataclasses.replace(base.text, dropout=0.0),
            head=dataclasses.replace(base.head, dropout=0.0),
            loss=dataclasses.replace(
                base.loss,
                views=self.views,
                negatives=self.negatives,
                queue_size=self.queue_size,
                momentum=0.5,
            ),
            train=dataclasses.replace(
                base.train,
                batch_size=self.batch_size,
                micro_batch=self.micro_batch,
                precision="float32",
                clip_norm=1e9,  # the gradients are to be looked at as they are
            ),
        )


def forkserver() -> ForkServerContext:
    """Return what starts processes that have torch imported, but never used, already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def run_peers(world: int, work: Work, folder: Path) -> list[dict[str, Tensor]]:
    """Return what ``work`` returns in each of ``world`` processes that talk over gloo."""
    context = forkserver()
    arguments = [(rank, world, work, folder) for rank in range(world)]
    peers = [context.Process(target=_peer, args=each, daemon=True) for each in arguments]
    for peer in peers:
        peer.start()
    for peer in peers:
        peer.join(200)  # on a machine that has much else to do
    assert [peer.exitcode for peer in peers] == [0] * world
    return [load_file(folder / f"{rank}.safetensors") for rank in range(world)]


def _peer(rank: int, world: int, work: Work, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world
    )
    assert current() == Processes(rank, world)
    found = work(current(), folder)
    save_file(
        {name: tensor.contiguous() for name, tensor in found.items()},
        folder / f"{rank}.safetensors",
    )
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def train_cases(cases: Mapping[str, Case], processes: Processes, folder: Path) -> dict[str, Tensor]:
    """Return what of every case a few steps of training leave; see :func:`train_case`."""
    found: dict[str, Tensor] = {}
    for name, case in cases.items():
        trained = train_case(case, processes, folder)
        found |= {f"{name}/{key}": tensor for key, tensor in trained.items()}
    return found


def train_case(case: Case, processes: Processes, folder: Path) -> dict[str, Tensor]:
    """Take the steps that one process would take, each process on its share of the same pairs.

    Some images of a step come back in the next one, with another caption.

    Returns:
        Losses, first gradients, last weights and what is kept for negatives outside the batch.
    """
    config = case.config
    corpus, vocabulary_size = material(config, folder)
    torch.manual_seed(SEED)
    system = case.build(config, vocabulary_size).train()
    stepper = Stepper(system, corpus, config, SEED, processes, torch.device("cpu"))
    whole = Stepper(system, corpus, config, SEED, Processes(), torch.device("cpu"))
    for group in stepper.optimizer.param_groups:
        group["eps"] = 0.1  # or Adam would blow rounding in gradients near 0 up to whole steps
    found, losses = {}, []
    for step in range(STEPS):
        pairs = (np.arange(case.batch_size, dtype=np.int64) + 7 * step) * 5 + step
        own = processes.share(np.arange(case.batch_size))
        losses.append(stepper.step(step, share_of(whole.batch(step, pairs), own))[1])
        if step == 0:
            found |= {f"gradient/{name}": gradient_of(p) for name, p in named(system)}
    found |= {f"weight/{name}": parameter.detach() for name, parameter in named(system)}
    if stepper.negatives is not None:
        found |= {f"kept/{name}": kept for name, kept in stepper.negatives.tensors().items()}
    return found | {"losses": torch.stack(losses)}


def named(system: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return list(system.named_parameters())


def gradient_of(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()


def share_of(batch: TrainBatch, rows: np.ndarray[Any, Any]) -> TrainBatch:
    return batch_rows(batch, slice(int(rows[0]), int(rows[-1]) + 1))


def material(config: Config, folder: Path) -> tuple[Corpus, int]:
    """Return the smallest real training split and the size of its vocabulary."""
    dataset = smallest()
    tokenizer = tokenizer_for(config.text, dataset.split("train").captions)
    corpora = build_corpora(dataset, config, tokenizer, device="cpu", cache_dir=folder / "cache")
    return corpora["train"], tokenizer.vocabulary_size


@functools.cache
def smallest() -> RetrievalDataset:
    """Return the smallest data set, drawn once."""
    return load_dataset("scenes", preset="smoke")


def build_cookie(config: Config, vocabulary_size: int) -> Cookie:
    """A COOKIE whose shared transformer does something, as after some training."""
    system = Cookie(config, vocabulary_size)
    for parameter in system.shared.parameters():
        nn.init.normal_(parameter, std=0.1)
    return system
