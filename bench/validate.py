"""Check results: ``python -m bench.validate results/``.

Records are checked one by one and beside each other, every rendered file against what rendering
now would give, and every link. Exit code 0: clean, 1: findings, 2: nothing to check.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from bench.checks.pages import broken_links, rendered_files, stale
from bench.checks.records import Finding, check_records, read_records
from cookie.errors import DataError, UserError, run_main


@dataclass(frozen=True)
class ValidateOptions:
    """Check that records are sound and that pages, tables and plots are theirs.

    Attributes:
        results: the folder that holds one folder a data set.
        json: print the findings as JSON.
    """

    results: Annotated[Path, tyro.conf.Positional] = Path("results")
    json: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was looked at, and what was found.

    Attributes:
        records: number of records read. files: number of rendered files.
    """

    records: int
    files: int
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "records": self.records,
            "files": self.files,
            "findings": [finding.to_dict() for finding in self.findings],
        }


def validate(results: Path) -> Outcome:
    """Return what is wrong in ``results``.

    Raises:
        UserError: there is no such folder, or no record in it.
    """
    if not results.is_dir():
        raise UserError(f"There is no folder '{results}': name the one that holds the results.")
    records, unreadable = read_records(results)
    if not records and not unreadable:
        raise UserError(f"'{results}' holds no records: run python -m bench.reproduce first.")
    findings = unreadable + check_records(records, results)
    if not any(finding.check == "schema" for finding in findings):
        findings += _stale(results)  # what cannot be read cannot be rendered either
    findings += broken_links(results)
    return Outcome(len(records), len(rendered_files(results)), tuple(findings))


def _stale(results: Path) -> list[Finding]:
    try:
        return stale(results)
    except DataError as error:
        return [Finding(str(results), "values", str(error))]


def main() -> None:
    """Command line entry."""
    options = tyro.cli(
        ValidateOptions, prog="python -m bench.validate", config=(tyro.conf.FlagCreatePairsOff,)
    )
    outcome = validate(options.results)
    if options.json:
        print(json.dumps(outcome.to_dict(), indent=1))
    else:
        for finding in outcome.findings:
            print(finding)
        number = len(outcome.findings)
        print(f"{outcome.records} records, {outcome.files} files: {number or 'no'} findings")
    if outcome.findings:
        raise SystemExit(1)


if __name__ == "__main__":
    run_main(main)
