"""Grids as HTML tables: sortable by what the values are, footnotes as links."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bench.layout import Column, Footnotes, Grid, Marked, Missing, Row, Value
from bench.tables import Block
from bench.web.markup import Markup, join, plain, prose, tag

_UNITS = {
    **{"µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    **{"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12},
}
_NUMBER = re.compile(r"([+-]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?)(?: (µs|ms|s|min|h|k|M|G|T)\b)?")


def block_markup(block: Block, name: str, caption: str) -> Markup:
    """Return a block's tables and footnotes.

    Args:
        block: what a table says about a section.
        name: keeps the anchors of blocks apart.
        caption: of the grids that have no heading of their own.
    """
    footnotes = Footnotes()
    parts = [grid_markup(grid, footnotes, name, grid.heading or caption) for grid in block.grids]
    notes = [
        tag("li", tag("b", letter), " ", prose(reason), id=f"{name}-{letter}")
        for letter, reason in footnotes.items()
    ]
    return join([*parts, tag("ul", *notes, class_="notes") if notes else ""])


def grid_markup(grid: Grid, footnotes: Footnotes, name: str, caption: str) -> Markup:
    """Return a table that scrolls by itself where it is wider than the screen."""
    head = [
        tag("th", prose(column.heading), scope="col", class_=column.align)
        for column in grid.columns
    ]
    body = [tag("tr", *_cells(grid.columns, row, footnotes, name)) for row in grid.rows]
    table = tag(
        "table",
        tag("caption", prose(caption)),
        tag("thead", tag("tr", *head)),
        tag("tbody", *body),
        class_="sortable",
    )
    lead = tag("p", prose(grid.lead)) if grid.lead else ""
    box = tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=plain(caption))
    return join([lead, box])


def _cells(
    columns: Sequence[Column], row: Row, footnotes: Footnotes, name: str
) -> Iterator[Markup]:
    """Yield a row's cells with what they are sorted by; the first one names the row."""
    for index, column in enumerate(columns):
        value = row[column.key]
        yield tag(
            "td" if index else "th",
            show(value, column, footnotes, name),
            scope=None if index else "row",
            class_=column.align,
            data_sort=sort_key(value),
        )


def show(value: Value, column: Column, footnotes: Footnotes, name: str) -> Markup:
    """Return how ``value`` is printed in ``column``, its remarks as links to the footnotes."""
    if isinstance(value, Missing):
        return join(["n/a", _mark(value.reason, footnotes, name)])
    if isinstance(value, Marked):
        shown = show(value.value, column, footnotes, name)
        return join([shown, _mark(value.remark, footnotes, name)])
    return prose(column.show(value))


def _mark(reason: str, footnotes: Footnotes, name: str) -> Markup:
    letter = footnotes.letter(reason)
    return tag("sup", tag("a", letter, href=f"#{name}-{letter}"))


def sort_key(value: Value) -> str | None:
    """Return what a cell is sorted by: a number, in base units, or text; None for nothing.

    A text that begins with a number, such as ``48.4 s`` or ``388.5 (377.1 to 399.6)``, is sorted
    by that number.
    """
    if isinstance(value, Missing):
        return None
    if isinstance(value, Marked):
        return sort_key(value.value)
    if isinstance(value, (bool, str)):
        found = _NUMBER.match(str(value).lstrip("*"))
        if not found:
            return str(value).casefold() if value not in ("", "-") else None
        number = float(found[1].replace(",", ""))
        return repr(number * _UNITS.get(found[2] or "", 1.0))
    return repr(float(value))
