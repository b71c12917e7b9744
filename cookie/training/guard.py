"""Losses between two logs: kept on the device, read at once, and refused when not finite."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from cookie.config import TrainConfig
from cookie.errors import UserError


class LossWindow:
    """Collects each step's losses without waiting for the device; reading them checks them.

    Args:
        settings: of the training, to name in an error.
        folder: of the run, to name in an error.
    """

    def __init__(self, settings: TrainConfig, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._names: list[str] = []
        self._rows: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, names: list[str], values: Tensor) -> None:
        """Keep one step's ``values`` (parts,), detached, on their device."""
        self._names = names
        self._rows.append(values)

    def flush(self, step: int, best_step: int) -> dict[str, float]:
        """Return the mean of every part since the last call.

        Args:
            step: steps done now, to count back from.
            best_step: where the best weights were saved, 0 for nowhere.

        Raises:
            UserError: a value is not finite; names the first step and part where it happened.
        """
        table = torch.stack(self._rows).cpu()
        self._rows = []
        bad = (~torch.isfinite(table)).nonzero()
        if len(bad):
            row, column = bad[0].tolist()
            first = step - len(table) + row + 1
            raise UserError(self._sentence(self._names[column], first, best_step))
        return dict(zip(self._names, table.mean(0).tolist(), strict=True))

    def _sentence(self, part: str, step: int, best_step: int) -> str:
        kept = f"; the best weights, of step {best_step}, stay in '{self._folder}'"
        return (
            f"Training diverged at step {step}, where '{part}' is not finite: lower "
            f"train.learning_rate (now {self._settings.learning_rate:g}) or set train.precision "
            f"to float32{kept if best_step else ''}."
        )
