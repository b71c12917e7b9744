"""The log of a run: one JSON object a line, and the same numbers for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from cookie.files import replacing
from cookie.training.curves import Curves

NAME = "history.jsonl"


class Journal:
    """Appends to ``history.jsonl``; a resumed run first drops what came after its checkpoint.

    Args:
        folder: of the run.
        step: the lines up to this step are kept.
        active: False for the processes that do not write.
    """

    def __init__(self, folder: Path, step: int, *, active: bool = True) -> None:
        self.path = folder / NAME
        if active:
            _keep(self.path, step)
        self._curves = Curves(folder, step) if active else None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add one line; numbers are kept as they are, TensorBoard gets a curve for each."""
        if self._curves is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        self._curves.write(step, values)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._curves is not None:
            self._curves.close()


def read_history(path: Path) -> list[dict[str, float]]:
    """Return the lines of a journal; a last line that was cut off by a kill is left out."""
    lines: list[dict[str, float]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def _keep(path: Path, step: int) -> None:
    """Rewrite the journal with the lines up to ``step``; none yet for a fresh run."""
    lines = read_history(path) if path.exists() else []
    with replacing(path) as temporary:
        kept = [json.dumps(line) + "\n" for line in lines if line["step"] <= step]
        temporary.write_text("".join(kept), encoding="utf-8")
