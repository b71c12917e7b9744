"""Where the records of a section are kept, and which of them are finished work on this checkout.

A record is *finished work* here only when the ledger in the working folder lists its hash, so
records that came with the repository are shown but never stand in for running a cell.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.records import Cell, Record, Section, Stamp, parse, write_text
from cookie.errors import DataError


class Ledger:
    """The hashes of the records that were made on this checkout, one empty file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, content: str) -> None:
        """List a record by its text."""
        write_text(self.folder / self._digest(content), "")

    def __contains__(self, content: object) -> bool:
        return isinstance(content, str) and (self.folder / self._digest(content)).exists()

    @staticmethod
    def _digest(content: str) -> str:
        return hashlib.sha256(content.encode()).hexdigest()


class RecordStore:
    """The records of one section of one data set, and which of them are finished here."""

    def __init__(self, results: Path, dataset: str, section: Section, ledger: Ledger) -> None:
        self.folder = results / dataset / "records" / section.folder
        self.ledger = ledger

    def path(self, cell: Cell) -> Path:
        """Return where the cell's record is, or would be."""
        return self.folder / cell.filename

    def finished(self, cell: Cell, stamp: Stamp) -> Record | None:
        """Return the cell's record if it was made here and answers ``stamp``, else None."""
        path = self.path(cell)
        if not path.exists():
            return None
        text = path.read_text(encoding="utf-8", errors="replace")
        if text not in self.ledger:
            return None
        record = self._current(text, path)
        return record if record and (record.cell, record.stamp) == (cell, stamp) else None

    @staticmethod
    def _current(text: str, path: Path) -> Record | None:
        """Return the record, or None when an earlier version of the suite wrote it."""
        try:
            return parse(text, str(path))
        except DataError:
            return None

    def write(self, record: Record) -> Path:
        """Store a finished cell; it counts as finished once the ledger lists it, the last step."""
        text = record.to_json()
        path = self.path(record.cell)
        write_text(path, text)
        self.ledger.add(text)
        return path
