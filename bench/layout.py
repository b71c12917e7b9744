"""Cells of a printed table: numbers with units, n/a with the reason in a footnote, markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tabulate import tabulate


@dataclass(frozen=True, slots=True)
class Missing:
    """A value that does not exist, and why; printed as n/a, never as 0."""

    reason: str


@dataclass(frozen=True, slots=True)
class Marked:
    """A value with a remark that belongs beside it, such as *extrapolated*."""

    value: Any
    remark: str


class AtLeast(float):
    """A number that is only known from below; :func:`bounded` prints it with a sign for that."""


Value = Any
Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: key in the rows, heading with its unit, how a value is written, and its side."""

    key: str
    heading: str
    show: Callable[[Any], str] = str
    align: Literal["left", "right"] = "right"


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows to be printed in columns; every output format is made from it.

    Attributes:
        heading: above it, or "". lead: sentences between heading and rows, or "".
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    heading: str = ""
    lead: str = ""


@dataclass(slots=True)
class Footnotes:
    """Reasons, lettered in the order in which they are first met."""

    reasons: list[str] = field(default_factory=list)

    def letter(self, reason: str) -> str:
        """Return the letter of ``reason``, a new one if it has not been met."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return _letters(self.reasons.index(reason))

    def mark(self, reason: str) -> str:
        """Return the mark of ``reason`` as it is printed."""
        return f"[{self.letter(reason)}]"

    def items(self) -> list[tuple[str, str]]:
        """Return every letter with its reason."""
        return [(_letters(index), reason) for index, reason in enumerate(self.reasons)]

    def lines(self) -> list[str]:
        """Return the footnotes as markdown list items."""
        return [f"- [{letter}] {reason}" for letter, reason in self.items()]


def _letters(index: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    head = _letters(index // 26 - 1) if index >= 26 else ""
    return head + chr(ord("a") + index % 26)


def show(value: Value, column: Column, footnotes: Footnotes) -> str:
    """Return how ``value`` is printed in ``column``; remarks go to the footnotes."""
    if isinstance(value, Missing):
        return f"n/a {footnotes.mark(value.reason)}"
    if isinstance(value, Marked):
        return f"{show(value.value, column, footnotes)} {footnotes.mark(value.remark)}"
    return column.show(value)


def markdown_table(
    columns: Sequence[Column], rows: Sequence[Row], footnotes: Footnotes | None = None
) -> str:
    """Return a markdown table; a :class:`Missing` value without ``footnotes`` is an error."""
    notes = footnotes if footnotes is not None else Footnotes()
    body = [[show(row[column.key], column, notes) for column in columns] for row in rows]
    if footnotes is None and notes.reasons:
        raise ValueError("a value needs a footnote and there is no place for it")
    align = [column.align for column in columns]
    headings = [column.heading for column in columns]
    return tabulate(body, headings, tablefmt="pipe", colalign=align, disable_numparse=True)


def markdown_grids(grids: Sequence[Grid]) -> str:
    """Return the grids one below the other, their common footnotes last."""
    footnotes, parts = Footnotes(), list[str]()
    for grid in grids:
        heading = f"#### {grid.heading}" if grid.heading else ""
        parts += [heading, grid.lead, markdown_table(grid.columns, grid.rows, footnotes)]
    parts.append("\n".join(footnotes.lines()))
    return "\n\n".join(part for part in parts if part)


def csv_text(rows: Sequence[Row]) -> str:
    """Return rows of plain values as CSV: n/a where missing, remarks in a column of their own."""
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Marked):
            flat[f"{name}_remark"] = value.remark
            value = value.value
        flat[name] = "n/a" if isinstance(value, Missing) else value
    return flat


def fixed(digits: int) -> Callable[[float], str]:
    """Return a writer of numbers with ``digits`` decimals."""
    return lambda value: f"{value:.{digits}f}"


def spread(value: float, low: float, high: float, sign: str = "") -> str:
    """Return a value with its interval, to a tenth; ``sign`` "+" writes signs throughout."""
    return f"{value:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"


def counted(count: int, noun: str) -> str:
    """Return a count with what is counted: "1 seed", "2,000 pairs"."""
    return f"{count:,} {noun}{'s' if count > 1 else ''}"


def significant(value: float) -> str:
    """Return three significant digits, without an exponent between 0.001 and a million."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 4
        return f"{value:,.{digits}f}"
    return f"{value:.2e}"


def bounded(value: float) -> str:
    """Return three significant digits; of what is known from below as ``≥ 1,234``."""
    return f"{'≥ ' if isinstance(value, AtLeast) else ''}{significant(value)}"


def duration(seconds: float) -> str:
    """Return a time span in the unit in which it is easiest to read."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:  # above, three digits of milliseconds would need an exponent
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 600:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def scaled(value: float, unit: str) -> str:
    """Return a count with a decimal prefix: 2.1e9 FLOP -> ``2.1 GFLOP``."""
    for power, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= power:
            return f"{value / power:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def mebibytes(value: float) -> str:
    """Return bytes as MiB."""
    return f"{value / 2**20:,.0f}"
