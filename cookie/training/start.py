"""The trained weights that another training starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from cookie.config import Config
from cookie.errors import UserError
from cookie.training.checkpoint import load_weights, read_facts, shapes_of, train_again
from cookie.training.trainer import BEST, RESULT

_ARCHITECTURE = ("vision", "text", "head")
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Start:
    """The best weights of a finished training.

    Attributes:
        folder: of that training.
        config: its settings, as plain dictionaries.
        digest: SHA-256 of the weights' file.
    """

    folder: Path
    config: Mapping[str, Any]
    digest: str

    def fill(self, module: nn.Module, config: Config) -> None:
        """Put the weights into ``module``, which ``config`` describes; all of them have to fit.

        Raises:
            UserError: a tensor is missing, left over or of another shape; the encoders are to
                stay frozen and are not those of that training; or the file is damaged.
        """
        if problem := self._problem(module) or self._thawed(config):
            raise UserError(f"'{self.folder}' does not fit: {problem}; {self._mend(config)}.")
        load_weights(self.folder, BEST, module)

    def _problem(self, module: nn.Module) -> str:
        """Say in which tensor weights and module differ first; "" where in none."""
        path = self.folder / f"{BEST}.safetensors"
        try:
            theirs = shapes_of(path)
        except (OSError, SafetensorError) as error:
            mend = train_again(self.folder)
            raise UserError(f"'{path}' cannot be read ({error}): {mend}.") from None
        ours = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        for name in sorted(ours | theirs):
            there, here = theirs.get(name, "absent"), ours.get(name, "absent")
            if there != here:
                return f"'{name}' is {there} there and {here} here"
        return ""

    def _thawed(self, config: Config) -> str:
        """Say why the encoders cannot stay frozen: what is cached of them is of the preset's."""
        ours = config.to_dict()
        keys = ("regime", "vision", "text")
        if config.regime != "frozen" or all(self.config[key] == ours[key] for key in keys):
            return ""
        return "the regime frozen needs the encoders of that training as they were before it"

    def _mend(self, config: Config) -> str:
        ours, theirs = asdict(config), self.config
        if ours["preset"] != theirs["preset"]:
            return f"use its preset, --preset {theirs['preset']}"
        wanted = [
            f"--{part}.{name.replace('_', '-')} {value}"
            for part in _ARCHITECTURE
            for name, value in theirs[part].items()
            if ours[part].get(name) != value
        ]
        if ours["regime"] != theirs["regime"]:
            wanted.append(f"--regime {theirs['regime']}")
        return f"use its settings, {' '.join(wanted[:_NAMED])}" if wanted else "pre-train again"


def read_start(folder: Path) -> Start:
    """Return the weights of the training in ``folder``.

    Raises:
        UserError: there is no such folder, no training in it, or it has not finished.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder '{folder}' to start from: name that of a training.")
    facts = read_facts(folder, BEST)
    if not (folder / RESULT).is_file():
        raise UserError(f"The training in '{folder}' has not finished: let it go on to its end.")
    return Start(folder, facts["config"], facts["sha256"])
