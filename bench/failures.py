"""Cells that could not be run, and why: tables print the reason where their values would stand.

A failure is a small file beside the records, never in the place of one, and goes as soon as the
cell is run with success.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.records import Cell, Section
from cookie.errors import DataError, UserError, one_line
from cookie.files import write_json

FOLDER = "failures"
_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s'\"/]+/)+")
"""The folders of an absolute path, up to the name of the file."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A cell of a section without a result; ``reason`` is a sentence."""

    cell: Cell
    section: Section
    reason: str


class FailureStore:
    """The failures of one section of one data set."""

    def __init__(self, results: Path, dataset: str, section: Section) -> None:
        self.folder, self.section = results / dataset / FOLDER / section.folder, section

    def write(self, cell: Cell, reason: str) -> None:
        """Keep why ``cell`` has no result; where on this machine is nobody else's business."""
        told = _FOLDERS.sub(".../", reason)
        write_json(self.folder / cell.filename, asdict(Failure(cell, self.section, told)))

    def clear(self, cell: Cell) -> None:
        """Forget a failure of ``cell``, and the folders that are empty without it."""
        (self.folder / cell.filename).unlink(missing_ok=True)
        for folder in (self.folder, *self.folder.parents[:2]):
            if not folder.is_dir() or any(folder.iterdir()):
                return
            folder.rmdir()


def read_failures(dataset_folder: Path) -> Iterator[Failure]:
    """Yield every failure below ``results/<dataset>``, in a fixed order.

    Raises:
        DataError: a file there is none.
    """
    for path in sorted((dataset_folder / FOLDER).rglob("*.json")):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            cell, section = Cell(**found["cell"]), Section(**found["section"])
            yield Failure(cell, section, str(found["reason"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} tells no failed cell ({error}): delete it.") from None


def without(training: Cell) -> str:
    """Return the reason of a cell whose training has no result."""
    return f"It needs '{training}', which has no result."


def reason_of(error: Exception) -> str | None:
    """Return why a cell has no result, in a sentence; None for an error of the program.

    What a user can mend and a lack of memory concern one cell, and the others go on.
    """
    from cookie.shortage import is_shortage  # needs torch, and reports are rendered without

    text = one_line(error)
    if isinstance(error, UserError):
        return text
    if is_shortage(error):
        told = text.split(". ")[0].rstrip(".") or type(error).__name__
        return f"It did not fit into the memory ({told})."
    return None
