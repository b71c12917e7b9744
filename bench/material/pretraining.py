"""The stage before the last one: three losses on a corpus without the test images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from bench.material.workshop import Workshop
from bench.systems import changes, systems
from cookie.features.corpora import build_corpora
from cookie.interfaces import Corpus
from cookie.training.identity import Stage
from cookie.training.start import Start, read_start
from cookie.training.trainer import TrainResult, train

FOLDER = "pretrain"
"""Of the stage's run, within that of the system: what makes the one again makes the other."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What came of the stage, and its weights."""

    result: TrainResult
    start: Start


def pretrain(
    workshop: Workshop, system: str, seed: int, validate: Callable[[nn.Module], float]
) -> Pretrained | None:
    """Pre-train ``system``, going on from its checkpoint; None where it has one stage alone."""
    settings = systems[system].pretraining
    if settings is None:
        return None
    config = settings(workshop.config)
    module = workshop.untrained(system, seed, config)
    folder = workshop.run_dir(system, seed) / FOLDER
    result = train(
        module,
        _corpus(workshop, system, module),
        config,
        seed=seed,
        device=workshop.device,
        run_dir=folder,
        validate=validate,
        stage=Stage("pretrain"),
    )
    return Pretrained(result, read_start(folder))


def started(workshop: Workshop, system: str, seed: int) -> Start | None:
    """Return the trained row that ``system`` begins with; None where it begins with none.

    Raises:
        UserError: that row has not been trained here.
    """
    row = systems[system].start
    return read_start(workshop.run_dir(row, seed)) if row else None


def pretraining_facts(workshop: Workshop, system: str) -> dict[str, Any]:
    """Return what a record has to say of the stage; nothing where there is none."""
    settings = systems[system].pretraining
    if settings is None:
        return {}
    data = workshop.pretraining_data
    facts = {"data": data.name, "sha256": data.sha256, "images": len(data.split("train"))}
    return {"pretraining": facts | {"changed": changes(workshop.config, settings(workshop.config))}}


def _corpus(workshop: Workshop, system: str, module: nn.Module) -> Corpus:
    """Return the corpus; that of the training split itself is not made twice."""
    data = workshop.pretraining_data
    if data.sha256 == workshop.dataset.sha256:
        return workshop.training_split(system, module)
    return build_corpora(
        data,
        workshop.config,
        workshop.tokenizer,
        device=workshop.device,
        cache_dir=workshop.cache,
        text_layers=getattr(module, "text_layers", None),
    )["train"]
