"""What ``python -m cookie train`` does: one stage of a training, from settings to a run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cookie.config import Config
from cookie.data.catalog import load_dataset
from cookie.data.dataset import RetrievalDataset
from cookie.data.tokenizer import Tokenizer, tokenizer_for
from cookie.devices import config_for, resolve_device
from cookie.encoding import encode_corpus
from cookie.errors import UserError
from cookie.features.corpora import build_corpora
from cookie.interfaces import Corpus, DualEncoder
from cookie.model import Cookie
from cookie.retrieval import evaluate
from cookie.runs import TOKENIZER, describe_run, runs_folder
from cookie.training.group import local_device, process_group
from cookie.training.identity import Stage
from cookie.training.start import Start, read_start
from cookie.training.trainer import TrainResult, train

if TYPE_CHECKING:
    from cookie.commands.options import Train


def run_train(options: Train) -> None:
    """Train COOKIE and say where the run is and how well it did on the validation split."""
    device = local_device(resolve_device(options.device))
    start = _start(options)
    stage = Stage(options.stage, None if start is None else start.digest)
    config = stage.settings(config_for(options.config, device))
    with process_group(device) as processes:
        with processes.main_first():  # it reads and decodes, the others find what it kept
            made = _makings(options, config, device, start)
        folder = options.run or runs_folder() / _name(options, config, made.dataset, stage)
        setup = _setup(options, config, made.dataset, stage)
        result = train(
            made.model,
            made.corpora["train"],
            config,
            seed=options.seed,
            device=device,
            run_dir=folder,
            validate=lambda module: _rsum(module, made.corpora["val"]),
            processes=processes,
            stage=stage,
            begin=lambda: describe_run(folder, made.tokenizer, setup),
        )
    if processes.main:
        _report(result, folder, options.json)


@dataclasses.dataclass(frozen=True, slots=True)
class _Makings:
    """What a training is made of."""

    dataset: RetrievalDataset
    tokenizer: Tokenizer
    model: Cookie
    corpora: dict[str, Corpus]


def _makings(options: Train, config: Config, device: torch.device, start: Start | None) -> _Makings:
    dataset = load_dataset(options.dataset, options.data_root, config.preset)
    tokenizer = _tokenizer(config, dataset, start)
    model = _model(config, tokenizer, options.seed, start)  # first: what does not fit is said soon
    corpora = build_corpora(dataset, config, tokenizer, device=device)
    return _Makings(dataset, tokenizer, model, corpora)


def _start(options: Train) -> Start | None:
    """Return what a fine-tuning starts from; None for what starts from nothing."""
    if (options.stage == "finetune") != (options.start is not None):
        raise UserError(
            "--stage finetune and --from belong together: --from names the folder of the training "
            "whose weights are fine-tuned."
        )
    return None if options.start is None else read_start(options.start)


def _tokenizer(config: Config, dataset: RetrievalDataset, start: Start | None) -> Tokenizer:
    """Return the tokenizer; trained weights know the words of their own and no others."""
    if start is not None:
        return Tokenizer.load(start.folder / TOKENIZER)
    return tokenizer_for(config.text, dataset.split("train").captions)


def _model(config: Config, tokenizer: Tokenizer, seed: int, start: Start | None) -> Cookie:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Cookie(config, tokenizer.vocabulary_size)
    if start is not None:
        start.fill(model, config)
    return model


def _name(options: Train, config: Config, dataset: RetrievalDataset, stage: Stage) -> str:
    """Return the name of the run's folder: what it is, in short."""
    parts = [dataset.name, config.preset, config.digest(), f"seed{options.seed}"]
    if stage.name != "single":
        parts.append(stage.name)
    if stage.start is not None:
        parts.append(stage.start[:8])
    return "-".join(parts)


def _setup(
    options: Train, config: Config, dataset: RetrievalDataset, stage: Stage
) -> dict[str, Any]:
    facts = {"dataset": dataset.name, "dataset_sha256": dataset.sha256}
    origin = {} if options.start is None else {"from": str(options.start.resolve())}
    own = {"preset": config.preset, "seed": options.seed, **stage.facts()}
    return facts | own | origin


def _rsum(module: nn.Module, corpus: Corpus) -> float:
    assert isinstance(module, DualEncoder)
    found = encode_corpus(module, corpus)
    return evaluate(found.images, found.captions, corpus.caption_image).rsum


def _report(result: TrainResult, folder: Path, as_json: bool) -> None:
    if as_json:
        facts = dataclasses.asdict(result) | {"history": str(result.history), "run": str(folder)}
        print(json.dumps(facts))
        return
    print(
        f"{result.steps} steps in {result.seconds:.0f} s, {result.samples_per_second:.0f} pairs/s"
    )
    print(f"best on the validation split: RSUM {result.best_score:.1f} at step {result.best_step}")
    print(f"{folder}")
