"""One module a table: which cells it needs and how they are laid out.

Adding a table is one file ``table_<number>.py`` here that registers a :class:`Table`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.layout import Grid, Row, markdown_grids
from bench.records import Cell
from cookie.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.claims import Verdict
    from bench.sections import View


@dataclass(frozen=True, slots=True)
class Block:
    """What a table says about one section; :func:`lay_out` makes one from its grids.

    Attributes:
        markdown: the tables and their footnotes, without a heading.
        rows: the same values unformatted, for the CSV.
        sentences: the verdicts that the table gives, one sentence each.
        grids: what ``markdown`` is made of, for other formats.
        verdicts: what ``sentences`` are made of, with their numbers.
    """

    markdown: str
    rows: Sequence[Row]
    sentences: Sequence[str]
    grids: Sequence[Grid] = ()
    verdicts: Sequence[Verdict] = ()


def lay_out(grids: Sequence[Grid], rows: Sequence[Row], verdicts: Sequence[Verdict]) -> Block:
    """Return the block that prints ``grids`` and stores ``rows``."""
    sentences = [verdict.sentence for verdict in verdicts]
    return Block(markdown_grids(grids), rows, sentences, grids, verdicts)


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        number: as ``--table`` takes it. title: its heading.
        cells: returns the cells it needs for some seeds; the flag asks for variants too.
        has_rows: whether a section has anything for it.
        block: lays out one section.
        plot: draws all sections, or returns None where there is nothing to draw.
        tail: markdown that follows the sections. appendix: the same as grids.
        columns: what its columns mean, for the generated guide.
    """

    number: str
    title: str
    cells: Callable[[Sequence[int], bool], list[Cell]]
    has_rows: Callable[[View], bool]
    block: Callable[[View], Block]
    plot: Callable[[Sequence[View]], Figure | None]
    tail: Callable[[], str] = str
    appendix: Callable[[], Sequence[Grid]] = tuple
    columns: Sequence[str] = ()


tables: Registry[Table] = Registry("table")


def register(table: Table) -> Table:
    """Make ``table`` available under its number."""
    return tables.register(table.number)(table)


def _discover() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


_discover()
