"""What became of a run, and how it is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.records import Cell, Section
from cookie.errors import UserError

if TYPE_CHECKING:
    from bench.pages.rendered import Report
    from bench.running.choice import Choice


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many cells were run, and which were not.

    Attributes:
        ran: cells with a new result.
        failed: why others have none.
        left_out: cells that did not fit into the time given, where it was limited.
    """

    ran: int
    failed: Mapping[Cell, str]
    left_out: Sequence[Choice] = ()

    def checked(self) -> Outcome:
        """Return the outcome; raise :class:`UserError` where cells failed and none was run."""
        if self.failed and not self.ran:
            raise UserError(next(iter(self.failed.values())))
        return self

    def sentence(self, seconds: float) -> str:
        """Return the outcome of a run of so many seconds in a line."""
        counts = {"failed": len(self.failed), "left out": len(self.left_out)}
        others = [f"{count} {name}" for name, count in counts.items() if count]
        rest = ", ".join([*others, "the others were finished"])
        return f"{self.ran} cells run, {rest}; {seconds:.0f} s in all"


def as_json(
    outcome: Outcome,
    reports: Sequence[Report],
    seconds: float,
    sharing: Mapping[str, Sequence[str]],
) -> str:
    """Return the outcome and what the reports and the page on sharing say as JSON."""
    told = {
        "reports": [report.to_dict() for report in reports],
        "ran": outcome.ran,
        "failed": {str(cell): reason for cell, reason in outcome.failed.items()},
        "left_out": [choice.to_dict() for choice in outcome.left_out],
        "seconds": seconds,
    }
    return json.dumps(told | ({"sharing": sharing} if sharing else {}), indent=1)


def print_reports(
    reports: Sequence[Report], section: Section, sharing: Mapping[str, Sequence[str]]
) -> None:
    """Print where the reports are, and what they say of the section that was run.

    Args:
        reports: of the tables asked for.
        section: that was run.
        sharing: path of the page on sharing -> its sentences; empty where it was not asked for.
    """
    for report in reports:
        print(f"table {report.table}: {report.path}")
        for sentence in report.sentences.get(section, []):
            print(f"  {sentence}")
    for path, sentences in sharing.items():
        print("\n  ".join([f"on sharing: {path}", *sentences]))
