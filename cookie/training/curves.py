"""TensorBoard's curves: a help to look at, which never ends a training when it cannot be had."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
_LOG = logging.getLogger("cookie.training")


class Curves:
    """One curve a number; what is drawn ends with the first thing that cannot be written.

    Args:
        folder: of the run.
        step: what a run that was cut off drew after it is dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._folder = folder / FOLDER
        self._writer: SummaryWriter | None = None
        self._hook = _quiet(threading.excepthook)
        self._previous, threading.excepthook = threading.excepthook, self._hook
        self._try(partial(self._open, step))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to every curve."""
        if self._writer is not None:
            self._try(partial(self._draw, self._writer, step, values))

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._try(self._writer.close)  # it writes what is queued first
        if threading.excepthook is self._hook:  # else another's stands on it
            threading.excepthook = self._previous

    def _open(self, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1)

    @staticmethod
    def _draw(writer: SummaryWriter, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # the system's, or those of a TensorFlow that it found
            self._writer = None
            _LOG.warning(
                "TensorBoard's files in '%s' cannot be written (%s): the training goes on "
                "without them.",
                self._folder,
                error,
            )


def _quiet(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    """Return ``hook`` without what ends a thread of TensorBoard.

    That thread writes; what it fails with is raised once more by the next call, which warns. Its
    trace would stand before the one sentence.
    """

    def show(told: Any) -> object:  # noqa: ANN401 -- threading's own, a type by name alone
        kind = type(told.thread).__module__
        return None if kind.split(".")[0] == "tensorboard" else hook(told)

    return show
