"""Compare two runs: ``python -m bench.compare A B``.

A and B are two record files or two folders of results. Accuracy is compared on the queries that
both answered, speed by ratios of medians; then follows what differs in settings and machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tabulate import tabulate

from bench.findings.contrast import Contrast, contrasts
from bench.findings.matching import Change, Match, changes, match, require_comparable
from bench.layout import significant
from bench.record_types import MISSHAPEN
from cookie.errors import DataError, one_line, run_main

HEADINGS = ("measure", "A", "B", "change", "bounds", "p", "from")


@dataclass(frozen=True)
class CompareOptions:
    """Compare two record files, or two folders of results.

    Examples:
        python -m bench.compare results before/results

    Attributes:
        first: a record file or a folder.
        second: another; changes are read from A to B.
        json: print the comparison as JSON.
    """

    first: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="A")]
    second: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="B")]
    json: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one match says.

    Attributes:
        name: of the match. seeds: of A and of B. rows: the measures.
        changes: what differs in settings, machine and protocol.
    """

    name: str
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    rows: tuple[Contrast, ...]
    changes: tuple[Change, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "seeds": [list(side) for side in self.seeds],
            "measures": [row.to_dict() for row in self.rows],
            "changes": [change.to_dict() for change in self.changes],
        }


def compare(first: Path, second: Path) -> list[Comparison]:
    """Return the comparison of everything that both sides hold.

    Raises:
        UserError: the sides do not measure the same, or one of them is no record, or one whose
            values are not as they should be.
    """
    return [_compare(found) for found in match(first, second)]


def _compare(found: Match) -> Comparison:
    try:
        return _compared(found)
    except MISSHAPEN as error:
        raise _unreadable(found, error) from error


def _unreadable(found: Match, error: Exception) -> DataError:
    """Return the error that names the record whose values are not as they should be.

    That is one that cannot be compared with itself either.
    """
    for side, records in (("A", found.first), ("B", found.second)):
        for record in records:
            try:
                contrasts([record], [record])
            except MISSHAPEN as its_own:
                return _misshapen(f"{side}'s record of {record.cell}", its_own)
    return _misshapen(f"A's or B's record of {found.name}", error)


def _misshapen(name: str, error: Exception) -> DataError:
    return DataError(
        f"{name} is not as it should be ({type(error).__name__}: {one_line(error)}): "
        "python -m bench.validate says more; delete it and run its cell again."
    )


def _compared(found: Match) -> Comparison:
    for one, two in zip(found.first, found.second, strict=True):
        require_comparable(one, two)
    different = [
        change
        for one, two in zip(found.first, found.second, strict=True)
        for change in changes(one, two)
    ]
    return Comparison(
        found.name,
        (_seeds(found.first), _seeds(found.second)),
        tuple(contrasts(found.first, found.second)),
        tuple({str(change): change for change in different}.values()),
    )


def _seeds(records: Sequence[Any]) -> tuple[int, ...]:
    return tuple(record.cell.seed for record in records)


def text(comparisons: Sequence[Comparison]) -> str:
    """Return the comparisons as text: a table each, then what differs, each thing once."""
    parts = [_table(comparison) for comparison in comparisons]
    lines = dict.fromkeys(f"  {change}" for found in comparisons for change in found.changes)
    differs = ["what differs (A -> B):", *lines] if lines else ["settings and machine are the same"]
    return "\n\n".join([*parts, "\n".join(differs)])


def _table(comparison: Comparison) -> str:
    seeds = [", ".join(map(str, side)) for side in dict.fromkeys(comparison.seeds)]
    heading = f"{comparison.name} (seed {' against '.join(seeds)})"
    if not comparison.rows:
        return f"{heading}\n  nothing that can be compared"
    rows = [_row(contrast) for contrast in comparison.rows]
    used = [i for i in range(len(HEADINGS)) if any(row[i] for row in rows)]
    body = [[row[i] for i in used] for row in rows]
    return f"{heading}\n" + tabulate(body, [HEADINGS[i] for i in used], disable_numparse=True)


def _row(contrast: Contrast) -> tuple[str, ...]:
    bounds = ""
    if contrast.low is not None and contrast.high is not None:
        low, high = (_change(contrast, bound) for bound in (contrast.low, contrast.high))
        bounds = f"{low} to {high} ({contrast.bounds})"
    p_value = "" if contrast.p_value is None else f"{contrast.p_value:.2g}"
    sides = (significant(contrast.first), significant(contrast.second))
    if contrast.form == "difference":
        sides = f"{contrast.first:.1f}", f"{contrast.second:.1f}"
    change = _change(contrast, contrast.change)
    return (contrast.measure, *sides, change, bounds, p_value, contrast.n)


def _change(contrast: Contrast, value: float) -> str:
    return f"{value:+.1f}" if contrast.form == "difference" else f"x {significant(value)}"


def main() -> None:
    """Command line entry."""
    options = tyro.cli(
        CompareOptions, prog="python -m bench.compare", config=(tyro.conf.FlagCreatePairsOff,)
    )
    found = compare(options.first, options.second)
    if options.json:
        print(json.dumps([comparison.to_dict() for comparison in found], indent=1))
    else:
        print(text(found))


if __name__ == "__main__":
    run_main(main)
