"""What rendering a table leaves behind: its page, its drawings and what it says."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.findings.sections import View
from bench.records import Section
from bench.tables import Block


@dataclass(frozen=True, slots=True)
class Report:
    """A rendered table.

    Attributes:
        table: its number. dataset: its data set. path: of the markdown page.
        blocks: what it says, by section. plot: path of the drawing, None where there is none.
        training: path of the drawing of its rows' training, None where no record holds any.
    """

    table: str
    dataset: str
    path: Path
    blocks: tuple[tuple[View, Block], ...]
    plot: Path | None = None
    training: Path | None = None

    @property
    def sentences(self) -> dict[Section, list[str]]:
        """The verdicts by section."""
        return {view.section: list(block.sentences) for view, block in self.blocks}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "table": self.table,
            "dataset": self.dataset,
            "path": str(self.path),
            "verdicts": [
                {**dataclasses.asdict(section), "sentences": sentences}
                for section, sentences in self.sentences.items()
            ],
        }
