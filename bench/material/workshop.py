"""Everything a cell works with, made once and only when asked for: data, models, corpora."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.effort import effort_of
from bench.environment import environment, hardware_slug
from bench.material.first_images import FirstImages
from bench.material.one_setting import changed
from bench.records import Section
from bench.systems import systems
from cookie import devices
from cookie.config import Config, Regime
from cookie.data.catalog import load_dataset
from cookie.data.corpus import PixelCorpus
from cookie.data.dataset import RetrievalDataset, growers
from cookie.data.pixels import open_pixels
from cookie.data.scenes import more_scenes
from cookie.data.tokenizer import Tokenizer, tokenizer_for
from cookie.encoding import Embeddings, encode_corpus
from cookie.features.corpora import build_corpora
from cookie.files import home
from cookie.interfaces import (
    Corpus,
    DualEncoder,
    TextBatch,
    TextView,
)
from cookie.presets import preset
from cookie.training.checkpoint import load_weights
from cookie.training.precision import Precision, autocast
from cookie.training.trainer import BEST

MORE = 4
"""Generated pictures to pre-train on for every one of the training split."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What fixes a section; picklable, so that a fresh process can make the same workshop.

    Attributes:
        dataset: name. preset: name. device: ``cpu``, ``cuda`` or ``cuda:N``.
        data_root: where data sets lie, None for the default.
        limit: test images that are used, None for all.
        config: settings, None for the preset's; a fresh process is given its parent's.
        change: name and value of a setting that the preset and every system's own settings get;
            None for none.
    """

    dataset: str
    preset: str
    device: str
    data_root: Path | None = None
    limit: int | None = None
    config: Config | None = None
    change: tuple[str, float] | None = None


def resolve_device(name: str) -> str:
    """Return the device meant by ``name``; ``auto`` is the GPU where there is one.

    Raises:
        UserError: there is no such device here.
    """
    return str(devices.resolve_device(name))


def resolve_config(name: str, device: str) -> Config:
    """Return the preset as this device runs it: a GPU fine-tunes what a CPU keeps frozen."""
    return devices.config_for(preset(name), torch.device(device))


class Workshop:
    """The makings of one section's cells."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.device = torch.device(setup.device)
        config = setup.config or resolve_config(setup.preset, setup.device)
        self.config = self._changed(config)
        self.effort = effort_of(setup.preset)
        self.precision: Precision = self.config.train.precision
        self.cache = home() / "cache"
        self._corpora: dict[Hashable, dict[str, Corpus]] = {}
        self._larger: dict[float, RetrievalDataset] = {}

    @cached_property
    def section(self) -> Section:
        """Where the records belong."""
        slug = hardware_slug(self.device)
        return Section(self.setup.preset, self.config.regime, slug, self.setup.limit)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Hardware, software and commit, read once."""
        return environment(self.device).to_dict()

    @cached_property
    def dataset(self) -> RetrievalDataset:
        """The data set."""
        return load_dataset(self.setup.dataset, self.setup.data_root, self.setup.preset)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the preset asks for."""
        return tokenizer_for(self.config.text, self.dataset.split("train").captions)

    def corpora(
        self,
        text_layers: int | None = None,
        view: TextView | None = None,
        regime: Regime | None = None,
    ) -> dict[str, Corpus]:
        """Return the corpora for training and accuracy; cached features in the frozen regime.

        Args:
            text_layers: depth of cached caption states; None is the whole text encoder.
            view: second view of captions that has to be among the cached ones; None for the
                preset's own.
            regime: of what they are for; None for the section's.
        """
        view, regime = view or self.config.augment.text, regime or self.config.regime
        key = text_layers, view == "delete", regime
        if key not in self._corpora:
            made = self._build(self.dataset, text_layers, view, regime)
            self._corpora[key] = made | {
                name: self._limited(corpus) for name, corpus in made.items() if name == "test"
            }
        return self._corpora[key]

    def _build(
        self,
        dataset: RetrievalDataset,
        text_layers: int | None,
        view: TextView,
        regime: Regime,
    ) -> dict[str, Corpus]:
        augment = replace(self.config.augment, text=view)
        return build_corpora(
            dataset,
            replace(self.config, augment=augment, regime=regime),
            self.tokenizer,
            device=self.device,
            cache_dir=self.cache,
            text_layers=text_layers,
        )

    def corpora_of(self, system: str, module: nn.Module) -> dict[str, Corpus]:
        """Return the corpora that ``system`` reads: :meth:`corpora` as ``module`` asks for them."""
        return self.corpora(*self._asked(system, module))

    def _asked(self, system: str, module: nn.Module) -> tuple[int | None, TextView, Regime]:
        """Return depth of caption states, second view and regime of what ``module`` reads."""
        layers, view = getattr(module, "text_layers", None), getattr(module, "text_view", None)
        return layers, view or self.config.augment.text, self.settings(system).regime

    def training_split(self, system: str, module: nn.Module) -> Corpus:
        """Return what ``system`` is trained on.

        All training images, the first share of them, or those and more of their kind, where the
        data set is generated.

        Raises:
            UserError: there are to be more, and this data set has no more.
        """
        share = systems[system].train_share
        if share > 1:
            return self._build(self._grown(share), *self._asked(system, module))["train"]
        corpus = self.corpora_of(system, module)["train"]
        return corpus if share == 1 else FirstImages(corpus, round(share * corpus.image_count))

    @cached_property
    def pretraining_data(self) -> RetrievalDataset:
        """What a system is pre-trained on: further pictures, or the training photographs again."""
        train = self.dataset.split("train")
        if train.scenes is not None:
            return more_scenes(self.dataset, MORE * len(train))
        return replace(self.dataset, splits={"train": train})

    def _grown(self, factor: float) -> RetrievalDataset:
        """Return the data set's training split alone, ``factor`` times as large."""
        if factor not in self._larger:
            made = growers[self.dataset.name](self.setup.preset, factor)
            self._larger[factor] = replace(made, splits={"train": made.split("train")})
        return self._larger[factor]

    def settings(self, system: str) -> Config:
        """Return the settings that ``system`` is built and trained with."""
        own = systems[system].settings(self.config) if system in systems else self.config
        return self._changed(own)

    def _changed(self, config: Config) -> Config:
        return config if self.setup.change is None else changed(config, *self.setup.change)

    @cached_property
    def test_pixels(self) -> Corpus:
        """The test split as pixels and token ids, as a server meets it."""
        split = self.dataset.split("test")
        pixels = open_pixels(self.dataset, "test", self.config.vision.image_size, self.cache)
        corpus = PixelCorpus(
            split,
            pixels,
            self.tokenizer,
            max_tokens=self.config.text.max_tokens,
            augment=self.config.augment,
            device=self.device,
        )
        return self._limited(corpus)

    def _limited(self, corpus: Corpus) -> Corpus:
        limit = self.setup.limit
        return corpus if limit is None else FirstImages(corpus, limit)

    def text_batch(self, sentences: Sequence[str]) -> TextBatch:
        """Return any sentences as a model reads captions, on the device."""
        ids, mask = self.tokenizer.encode(sentences, self.config.text.max_tokens)
        return TextBatch(ids, mask).to(self.device)

    def untrained(self, system: str, seed: int, config: Config | None = None) -> nn.Module:
        """Return the system as it is before training, the same for the same seed.

        Args:
            system: its name.
            seed: of its weights.
            config: settings, None for the system's own.
        """
        build = systems[system].build
        if build is None:
            raise ValueError(f"{system} is made of trained systems and has no weights of its own")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build(config or self.settings(system), self.tokenizer.vocabulary_size)

    def run_dir(self, system: str, seed: int) -> Path:
        """Return where the system is trained."""
        data = f"{self.dataset.name}-{self.dataset.sha256[:8]}"
        recipe = f"{self.setup.preset}-{self.settings(system).digest()}"
        return home() / "runs" / data / recipe / self.section.hardware / f"{system}-seed{seed}"

    def trained(self, system: str, seed: int) -> nn.Module:
        """Return the system with its best weights, on the device, in eval mode.

        Raises:
            UserError: it has not been trained here.
        """
        module = self.untrained(system, seed)
        load_weights(self.run_dir(system, seed), BEST, module)
        return module.to(self.device).eval().requires_grad_(requires_grad=False)


def encoded(
    encoder: DualEncoder, corpus: Corpus, device: torch.device, precision: Precision
) -> Embeddings:
    """Return a corpus's embeddings; the encoders compute in ``precision``, as in training."""
    with autocast(device, precision):
        return encode_corpus(encoder, corpus)
