"""A small data set and untrained models: what benchmarks work on, made once a session.

How fast a model is does not depend on what it has learned.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from bench.material.servers import DualServer, PairServer, TwoStageServer
from bench.systems import SHORTLIST, systems
from cookie.config import AugmentConfig, Config
from cookie.data.corpus import PixelCorpus
from cookie.data.pixels import open_pixels
from cookie.data.scenes import SceneCounts, generate_scenes
from cookie.data.tokenizer import Tokenizer
from cookie.interfaces import DualEncoder, IndexArray, PairScorer, Searcher
from cookie.presets import preset
from cookie.training.distributed import Processes
from cookie.training.precision import Precision
from cookie.training.step import Stepper

COUNTS = SceneCounts(train=256, val=8, test=256)


class Trial:
    """Data and models by preset and device.

    Args:
        folder: for decoded pixels.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dataset = generate_scenes(COUNTS)
        self.tokenizer = Tokenizer.from_captions(self.dataset.split("train").captions)
        self.corpus = functools.cache(self._corpus)
        self.model = functools.cache(self._model)
        self.server = functools.cache(self._server)

    def _corpus(self, preset_name: str, device: str, split: str = "test") -> PixelCorpus:
        """Return a split at the preset's image size; its views use every augmentation."""
        config = preset(preset_name)
        return PixelCorpus(
            self.dataset.split(split),
            open_pixels(self.dataset, split, config.vision.image_size, self.folder),
            self.tokenizer,
            max_tokens=config.text.max_tokens,
            augment=AugmentConfig(color=0.4, flip=0.5),
            device=device,
        )

    def _model(self, system: str, preset_name: str, device: str) -> nn.Module:
        """Return an untrained model, ready for evaluation."""
        return self.new_model(system, preset(preset_name), device).eval()

    def new_model(self, system: str, config: Config, device: str) -> nn.Module:
        """Return a model of its own, in training mode; the same weights every time."""
        build = systems[system].build
        if build is None:
            raise ValueError(f"'{system}' has no model of its own")
        torch.manual_seed(0)
        return build(config, self.tokenizer.vocabulary_size).to(device)

    def _server(self, system: str, preset_name: str, device: str, precision: Precision) -> Searcher:
        """Return a system with the test images as its gallery; a two-stage one shares its parts."""
        spec = systems[system]
        if spec.family == "two-stage":
            dual, pair = (self.server(part, preset_name, device, precision) for part in spec.parts)
            return TwoStageServer(cast(DualServer, dual), cast(PairServer, pair), SHORTLIST)
        model = self.model(system, preset_name, device)
        server: Searcher = (
            DualServer(cast(DualEncoder, model), precision)
            if spec.family == "dual"
            else PairServer(cast(PairScorer, model), precision)
        )
        server.index(self.corpus(preset_name, device))
        return server

    def stepper(self, system: str, config: Config, device: str) -> Stepper:
        """Return what trains ``system`` on the training split, a step a call."""
        return Stepper(
            self.new_model(system, config, device),
            self.corpus(config.preset, device, "train"),
            config,
            seed=0,
            processes=Processes(),
            device=torch.device(device),
        )


def first(count: int) -> IndexArray:
    """Return the indices 0 to ``count`` - 1."""
    return np.arange(count, dtype=np.int64)
