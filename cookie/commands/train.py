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
from cookie.ranges import check, check_seed
from cookie.retrieval import evaluate
from cookie.runs import (
    SETUP,
    TOKENIZER,
    describe_run,
    is_trained_on,
    require_same_data,
    runs_folder,
)
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
    _check(options, config)
    with process_group(device) as processes:
        with processes.main_first():  # it reads and decodes, the others find what it kept
            dataset = load_dataset(options.dataset, options.data_root, config.preset)
            dataset.require("train", "val")
            folder = options.run or _folder(options, config, dataset, stage)
            require_same_data(folder, dataset.sha256)
            made = _makings(options, config, device, start, dataset)
        setup = _setup(options, config, dataset, stage)
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


def _check(options: Train, config: Config) -> None:
    """Raise :class:`UserError` for what cannot be trained, before anything is read or made."""
    check(config)
    check_seed(options.seed)
    if options.run == Path() and not (options.run / f"{SETUP}.json").is_file():
        raise UserError(
            "--run is empty, or the folder you are in, which holds no run: name one for the run."
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Makings:
    """What a training is made of."""

    tokenizer: Tokenizer
    model: Cookie
    corpora: dict[str, Corpus]


def _makings(
    options: Train,
    config: Config,
    device: torch.device,
    start: Start | None,
    dataset: RetrievalDataset,
) -> _Makings:
    tokenizer = _tokenizer(config, dataset, start)
    model = _model(config, tokenizer, options.seed, start)  # first: what does not fit is said soon
    corpora = build_corpora(dataset, config, tokenizer, device=device)
    return _Makings(tokenizer, model, corpora)


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


def _folder(options: Train, config: Config, dataset: RetrievalDataset, stage: Stage) -> Path:
    """Return the run's folder where none was chosen: named by what it is, its data included.

    A run of these data under a name without their hash, as earlier versions gave, keeps it.
    """
    parts = _name(options, config, stage)
    earlier = runs_folder() / "-".join([dataset.name, *parts])
    if is_trained_on(earlier, dataset.sha256):
        return earlier
    return runs_folder() / "-".join([dataset.name, dataset.sha256[:8], *parts])


def _name(options: Train, config: Config, stage: Stage) -> list[str]:
    """Return the parts of a run's name that tell of its settings."""
    parts = [config.preset, config.digest(), f"seed{options.seed}"]
    if stage.name != "single":
        parts.append(stage.name)
    if stage.start is not None:
        parts.append(stage.start[:8])
    return parts


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
