"""One module a table: which cells it needs and how they are laid out.

Adding a table is one file ``table_<number>.py`` here that registers a :class:`Table`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.layout import Grid, Row, markdown_grids, markdown_table
from bench.records import Cell
from cookie.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.findings.sections import View
    from bench.findings.verdicts import Finding, Verdict


@dataclass(frozen=True, slots=True)
class Block:
    """What a table says about one section; :func:`lay_out` makes one.

    Attributes:
        grids: what is printed, one below the other.
        rows: the same values unformatted, for the CSV.
        verdicts: on the paper's claims, and what else the section shows.
    """

    grids: Sequence[Grid]
    rows: Sequence[Row]
    verdicts: Sequence[Verdict | Finding]

    @property
    def markdown(self) -> str:
        """The tables and their footnotes, without a heading."""
        return markdown_grids(self.grids)

    @property
    def sentences(self) -> list[str]:
        """The verdicts, one sentence each."""
        return [verdict.sentence for verdict in self.verdicts]


def lay_out(
    grids: Sequence[Grid], rows: Sequence[Row], verdicts: Sequence[Verdict | Finding] = ()
) -> Block:
    """Return the block that prints ``grids`` and stores ``rows``.

    A key that ends in ``_text`` is a value as it is printed, and not stored.
    """
    plain = [{k: v for k, v in row.items() if not k.endswith("_text")} for row in rows]
    return Block(grids, plain, verdicts)


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader of a whole table has to know: a heading and its points."""

    heading: str
    lines: Sequence[str]

    @property
    def markdown(self) -> str:
        """The note as a section of a page."""
        return "\n".join([f"## {self.heading}", "", *(f"- {line}" for line in self.lines)])


def _not_drawn(views: Sequence[View]) -> None:
    """Draw nothing."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        number: as ``--table`` takes it. title: its heading.
        cells: returns the cells it needs for some seeds; the flag asks for variants too.
        has_rows: whether a section has anything for it.
        block: lays out one section.
        plot: draws all sections, or returns None where there is nothing to draw.
        training: draws how the rows of all sections were trained, or returns None.
        appendix: grids that follow the sections. notes: what follows them in words.
        columns: what its columns mean, for the generated guide.
    """

    number: str
    title: str
    cells: Callable[[Sequence[int], bool], list[Cell]]
    has_rows: Callable[[View], bool]
    block: Callable[[View], Block]
    plot: Callable[[Sequence[View]], Figure | None]
    training: Callable[[Sequence[View]], Figure | None] = _not_drawn
    appendix: Callable[[], Sequence[Grid]] = tuple
    notes: Sequence[Note] = ()
    columns: Sequence[str] = ()

    def tail(self) -> str:
        """Return what follows the sections as markdown, empty where nothing does."""
        grids = [
            f"## {grid.heading}\n\n{grid.lead}\n\n{markdown_table(grid.columns, grid.rows)}"
            for grid in self.appendix()
        ]
        return "\n\n".join([*grids, *(note.markdown for note in self.notes)])


tables: Registry[Table] = Registry("table")


def register(table: Table) -> Table:
    """Make ``table`` available under its number."""
    return tables.register(table.number)(table)


def _discover() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


_discover()
