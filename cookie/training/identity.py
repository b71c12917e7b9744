"""What makes a run this one and no other: its stage, settings, data and seed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from torch import nn

from cookie.config import Config
from cookie.interfaces import Corpus

StageName = Literal["single", "pretrain", "finetune"]


@dataclass(frozen=True, slots=True)
class Stage:
    """Which part of a model's training a run is.

    The paper pre-trains with three losses and fine-tunes for retrieval. ``single`` is the one
    stage with three losses that all systems of this suite are compared in.

    Attributes:
        name: of the stage.
        start: SHA-256 of the weights that it starts from; None where it starts from none.
    """

    name: StageName = "single"
    start: str | None = None

    def facts(self) -> dict[str, str]:
        """Return what a run says of its stage; nothing for a single one.

        What was trained before there were stages thus stays what it was.
        """
        if self.name == "single":
            return {}
        return {"stage": self.name} | ({} if self.start is None else {"start": self.start})

    def settings(self, config: Config) -> Config:
        """Return ``config`` as the stage trains with it: fine-tuning is for retrieval alone."""
        if self.name != "finetune":
            return config
        loss = dataclasses.replace(config.loss, image_image=0.0, text_text=0.0)
        return dataclasses.replace(config, loss=loss)


SINGLE = Stage()


def identity(module: nn.Module, corpus: Corpus, config: Config, seed: int, stage: Stage) -> str:
    """Return a digest of all that must be the same for a checkpoint to be gone on from."""
    shapes = {name: list(tensor.shape) for name, tensor in module.state_dict().items()}
    facts = [type(module).__name__, shapes, config.decisive(), seed]
    own = stage.facts()
    digest = hashlib.sha256(json.dumps([*facts, own] if own else facts).encode())
    digest.update(corpus.caption_image.tobytes())
    digest.update("\n".join(corpus.captions).encode())
    return digest.hexdigest()[:16]
