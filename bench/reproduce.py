"""Run what a table needs and render it: ``python -m bench.reproduce --table 2``.

Finished cells are never run twice; Ctrl-C or a kill keeps them, and training goes on from its
last checkpoint.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from bench.plan import merge
from bench.tables import tables
from cookie.errors import UserError, run_main, unknown
from cookie.presets import PRESETS, preset

if TYPE_CHECKING:
    from bench.records import Cell
    from bench.rendered import Report
    from bench.runner import Runner

PRESET_OF = {"scenes": "tiny"}
"""Preset by data set, for those that are not photographs; photographs take ``small``."""


@dataclass(frozen=True)
class Options:
    """Reproduce a table: train, evaluate and measure what it needs, then render it.

    Examples:
        python -m bench.reproduce --table 2

        python -m bench.reproduce --table 2 --dataset flickr8k --data-root ../data

        python -m bench.reproduce --all --seeds 0 1 2 --dry-run

    Attributes:
        table: number of the table; --list shows them.
        all: all tables.
        dataset: scenes (generated), flickr8k, flickr30k, coco (5K), or a folder's name.
        preset: tiny, small, paper or smoke; by default the one that suits the data set.
        seeds: of training; speed is measured for the first one.
        device: auto, cpu, cuda or cuda:N.
        data_root: where data sets lie; by default COOKIE_DATA, then data.
        results_dir: where records and reports go.
        limit: use the first so many test images only; such records have a section of their own.
        accuracy_seconds: time for the scores of one system; what does not fit is sampled.
        variants: include the variants that a table leaves out by default.
        list: show tables, presets and systems, and stop.
        dry_run: show the cells with an estimate of their time, and stop.
        resume: keep finished cells; this is what happens anyway.
        force: run every cell again, training included.
        json: print the outcome as JSON.
    """

    table: str | None = None
    all: bool = False
    dataset: str = "scenes"
    preset: str | None = None
    seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    data_root: Path | None = None
    results_dir: Path = Path("results")
    limit: int | None = None
    accuracy_seconds: float = 150.0
    variants: bool = False
    list: Annotated[bool, tyro.conf.arg(name="list")] = False
    dry_run: bool = False
    resume: bool = False
    force: bool = False
    json: bool = False


def main() -> None:
    """Command line entry."""
    options = tyro.cli(
        Options, prog="python -m bench.reproduce", config=(tyro.conf.FlagCreatePairsOff,)
    )
    if options.list:
        print(listing())
        return
    check(options)
    reproduce(options)


def listing() -> str:
    """Return the names that the command line takes."""
    from bench.systems import systems

    lines = ["tables:", *(f"  {name}  {tables[name].title}" for name in tables)]
    lines += [f"presets: {', '.join(PRESETS)}"]
    lines += ["systems:", *(f"  {name:<20} {systems[name].label}" for name in systems)]
    return "\n".join(lines)


def check(options: Options) -> None:
    """Raise :class:`UserError` for what is wrong with the options themselves."""
    if options.all == (options.table is not None):
        raise UserError("Say which table with --table N, or --all; --list shows them.")
    wanted(options)
    preset(chosen_preset(options))
    if not options.seeds or min(options.seeds) < 0 or len(set(options.seeds)) < len(options.seeds):
        raise UserError("--seeds needs one or more different numbers of at least 0.")
    if options.limit is not None and options.limit < 2:
        raise UserError("--limit needs at least 2 test images.")
    if not options.accuracy_seconds > 0:
        raise UserError("--accuracy-seconds needs a positive number of seconds.")


def wanted(options: Options) -> list[str]:
    """Return the numbers of the tables asked for."""
    if options.all:
        return list(tables)
    if options.table not in tables:
        raise unknown("table", str(options.table), tables)
    return [str(options.table)]


def chosen_preset(options: Options) -> str:
    """Return the preset asked for, or the one that suits the data set."""
    return options.preset or PRESET_OF.get(options.dataset, "small")


def plan(options: Options) -> list[Cell]:
    """Return the cells of all tables asked for, as far as the preset has them."""
    from bench.systems import suits

    config = preset(chosen_preset(options))
    found = merge([tables[n].cells(options.seeds, options.variants) for n in wanted(options)])
    return [cell for cell in found if suits(cell.system, config)]


def reproduce(options: Options) -> None:
    """Run the plan, render the reports, and say what they say."""
    from bench.runner import Runner, RunOptions
    from bench.workshop import Setup, Workshop, resolve_device

    started = time.perf_counter()
    device = resolve_device(options.device)
    setup = Setup(options.dataset, chosen_preset(options), device, options.data_root, options.limit)
    run_options = RunOptions(options.accuracy_seconds, options.force)
    runner = Runner(Workshop(setup), options.results_dir, run_options)
    cells = plan(options)
    if options.dry_run:
        _show_plan(runner, cells, options)
        return
    ran = runner.run(cells)
    _finish(options, runner, ran, time.perf_counter() - started)


def _show_plan(runner: Runner, cells: Sequence[Cell], options: Options) -> None:
    from bench.estimate import estimates

    rows = estimates(runner, cells)
    if options.json:
        print(json.dumps([row.to_dict() for row in rows], indent=1))
        return
    for row in rows:
        print(row)
    total = sum(row.seconds for row in rows if not row.finished)
    print(f"{len(rows)} cells; about {total / 60:.1f} min for those that are not finished")


def _finish(options: Options, runner: Runner, ran: int, seconds: float) -> None:
    """Render, then print where the reports are and what they say."""
    from bench.report import render_all

    reports = [
        report
        for report in render_all(options.results_dir)
        if report.dataset == options.dataset and report.table in wanted(options)
    ]
    if options.json:
        _print_json(reports, ran, seconds)
        return
    print(f"{ran} cells run, the others were finished; {seconds:.0f} s in all")
    for report in reports:
        _print_report(report, runner)


def _print_json(reports: Sequence[Report], ran: int, seconds: float) -> None:
    outcome = {"reports": [report.to_dict() for report in reports], "ran": ran, "seconds": seconds}
    json.dump(outcome, sys.stdout, indent=1)
    print()


def _print_report(report: Report, runner: Runner) -> None:
    """Print the verdicts of the section that this run belongs to."""
    print(f"table {report.table}: {report.path}")
    for sentence in report.sentences.get(runner.workshop.section, []):
        print(f"  {sentence}")


if __name__ == "__main__":
    run_main(main)
