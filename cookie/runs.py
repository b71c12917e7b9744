"""A trained COOKIE on disk: the training folder plus what is needed to use it on new input."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from cookie.config import Config
from cookie.data.tokenizer import Tokenizer
from cookie.errors import UserError
from cookie.files import home, write_json
from cookie.interfaces import TextBatch
from cookie.model import Cookie
from cookie.training.checkpoint import load_weights, read_facts
from cookie.training.trainer import BEST, RESULT

TOKENIZER = "tokenizer.json"
SETUP = "setup"

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class Run:
    """A trained model, ready to encode.

    Attributes:
        folder: where it was trained.
        config: of the training.
        setup: data set name and hash, preset of generated data, seed.
        tokenizer: of the captions.
        model: in eval mode, on the device.
        digest: SHA-256 of the weights' file.
        score: on the validation split.
    """

    folder: Path
    config: Config
    setup: dict[str, Any]
    tokenizer: Tokenizer
    model: Cookie
    digest: str
    score: float

    @property
    def facts(self) -> dict[str, str]:
        """What a gallery says of the model that made it."""
        return {"run": str(self.folder.resolve()), "weights_sha256": self.digest}

    @torch.inference_mode()
    def encode_query(self, text: str) -> torch.Tensor:
        """Return (1, D) for one caption."""
        ids, mask = self.tokenizer.encode([text], self.config.text.max_tokens)
        device = next(self.model.parameters()).device
        return self.model.encode_texts(TextBatch(ids, mask).to(device))


def runs_folder() -> Path:
    """Return where ``python -m cookie train`` puts its runs."""
    return home() / "runs" / "cookie"


def describe_run(folder: Path, tokenizer: Tokenizer, setup: Mapping[str, Any]) -> None:
    """Write beside a training what :func:`load_run` needs apart from weights and settings."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder / TOKENIZER)
    write_json(folder / f"{SETUP}.json", dict(setup))


def require_same_data(folder: Path, dataset_sha256: str) -> None:
    """Raise unless ``folder`` is free or its training is on the data of this hash.

    Weights that have seen other images look finished, or would go on with these.

    Raises:
        UserError: it holds a training on other data.
    """
    known = _data_of(folder)
    if known not in (None, dataset_sha256):
        raise UserError(
            f"'{folder}' holds a run on other images or captions (sha256 {str(known)[:8]} then, "
            f"{dataset_sha256[:8]} now): choose another folder with --run, or delete it."
        )


def is_trained_on(folder: Path, dataset_sha256: str) -> bool:
    """Return whether ``folder`` says that its training is on the data of this hash."""
    return _data_of(folder) == dataset_sha256


def _data_of(folder: Path) -> object:
    """Return the hash of the data that a run's folder tells of; None where it tells of none."""
    if not (folder / f"{SETUP}.json").is_file():
        return None
    return read_facts(folder, SETUP).get("dataset_sha256")


def load_run(folder: Path, device: torch.device) -> Run:
    """Return the best weights of the training in ``folder``.

    Raises:
        UserError: there is no training in it, or its files are broken.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder '{folder}': train with 'python -m cookie train'.")
    facts, setup = read_facts(folder, BEST), read_facts(folder, SETUP)
    config = _config(folder, facts)
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    model = Cookie(config, tokenizer.vocabulary_size)
    load_weights(folder, BEST, model)
    model = model.to(device).eval().requires_grad_(requires_grad=False)
    return Run(folder, config, setup, tokenizer, model, facts["sha256"], facts["score"])


def _config(folder: Path, facts: Mapping[str, Any]) -> Config:
    """Return the settings among a run's facts, all of which have to be there."""
    try:
        config = settings_from(Config, facts["config"])
        float(facts["score"])
        str(facts["sha256"])
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"'{folder}' is no run of this version ({type(error).__name__}: {error}): train again."
        ) from None
    return config


def newest_run() -> Path:
    """Return the folder of the training that finished last, of those in :func:`runs_folder`.

    One that was put elsewhere has to be named.

    Raises:
        UserError: none has.
    """
    finished = [path for path in runs_folder().glob(f"*/{RESULT}") if path.is_file()]
    if not finished:
        raise UserError(
            f"No finished training in '{runs_folder()}': run 'python -m cookie train', or name "
            "one with --run."
        )
    return max(finished, key=lambda path: path.stat().st_mtime).parent


def settings_from(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Return the settings dataclass ``kind`` from the nested dictionaries of ``to_dict``.

    Raises:
        UserError: a setting is unknown, as from another version of this package.
    """
    hints = typing.get_type_hints(kind)
    if strange := set(values) - set(hints):
        raise UserError(
            f"The stored settings hold '{min(strange)}', which this version does not know: "
            "train again."
        )
    return kind(
        **{
            name: settings_from(hints[name], value)
            if dataclasses.is_dataclass(hints[name])
            else value
            for name, value in values.items()
        }
    )
