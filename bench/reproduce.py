"""Run what a table needs and render it: ``python -m bench.reproduce --table 2``.

Finished cells are never run twice; Ctrl-C or a kill keeps them, and training goes on from its
last checkpoint.
"""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from bench import sharing_points
from bench.plan import compilable, merge
from bench.tables import tables
from cookie.errors import UserError, run_main, unknown
from cookie.presets import PRESETS, preset

if TYPE_CHECKING:
    from bench.outcome import Outcome
    from bench.records import Cell
    from bench.runner import Runner
    from bench.workshop import Workshop

PRESET_OF = {"scenes": "tiny"}
"""Preset by data set, for those that are not photographs; photographs take ``small``."""


@dataclass(frozen=True)
class Options:
    """Reproduce a table: train, evaluate and measure what it needs, then render it.

    Examples:
        python -m bench.reproduce --table 2

        python -m bench.reproduce --table 2 --dataset flickr8k --data-root ../data

        python -m bench.reproduce --all --seeds 0 1 2 --dry-run

        python -m bench.reproduce --sharing --seeds 0 1 2 3 4 --axes steps

        python -m bench.reproduce --all --dataset flickr8k --budget-minutes 25

    Attributes:
        table: number of the table; --list shows them.
        all: all tables.
        sharing: when sharing pays: COOKIE and its rivals by training pairs, depth and steps.
        axes: along which of these.
        dataset: scenes (generated), flickr8k, flickr30k, coco (5K), or a folder's name.
        preset: tiny, small, paper or smoke; by default the one that suits the data set.
        seeds: of training; speed is measured for the first one.
        device: auto, cpu, cuda or cuda:N.
        data_root: where data sets lie; by default COOKIE_DATA, then data.
        results_dir: where records and reports go.
        limit: use the first so many test images only; such records have a section of their own.
        accuracy_seconds: time for the scores of one system; what does not fit is sampled.
        budget_minutes: begin only what is expected to fit into the time, what tells most first;
            the same command goes on with the rest.
        variants: include the variants that a table leaves out by default.
        list: show tables, presets and systems, and stop.
        dry_run: show the cells with an estimate of their time, and stop.
        resume: keep finished cells; this is what happens anyway.
        force: run every cell again, training included.
        json: print the outcome as JSON.
    """

    table: str | None = None
    all: bool = False
    sharing: bool = False
    axes: tuple[sharing_points.Axis, ...] = sharing_points.EVERY_AXIS
    dataset: str = "scenes"
    preset: str | None = None
    seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    data_root: Path | None = None
    results_dir: Path = Path("results")
    limit: int | None = None
    accuracy_seconds: float = 150.0
    budget_minutes: float | None = None
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
    if [options.table is not None, options.all, options.sharing].count(True) != 1:
        raise UserError(
            "Say which table with --table N, or --all, or --sharing; --list shows them."
        )
    wanted(options)
    preset(chosen_preset(options))
    if not options.seeds or min(options.seeds) < 0 or len(set(options.seeds)) < len(options.seeds):
        raise UserError("--seeds needs one or more different numbers of at least 0.")
    if options.limit is not None and options.limit < 2:
        raise UserError("--limit needs at least 2 test images.")
    if not options.accuracy_seconds > 0:
        raise UserError("--accuracy-seconds needs a positive number of seconds.")
    if options.budget_minutes is not None:
        _check_budget(options.budget_minutes, options.force)


def _check_budget(minutes: float, force: bool) -> None:
    if not 0 < minutes < math.inf:
        raise UserError("--budget-minutes needs a positive number of minutes.")
    if force:
        raise UserError(
            "--budget-minutes goes on where the last run ended and --force begins again: "
            "give one of them."
        )


def wanted(options: Options) -> list[str]:
    """Return the numbers of the tables asked for; sharing has a page of its own."""
    if options.sharing:
        return []
    if options.all:
        return list(tables)
    if options.table not in tables:
        raise unknown("table", str(options.table), tables)
    return [str(options.table)]


def chosen_preset(options: Options) -> str:
    """Return the preset asked for, or the one that suits the data set."""
    return preset_for(options.dataset, options.preset)


def preset_for(dataset: str, asked_for: str | None) -> str:
    """Return the preset asked for, or the one that suits ``dataset``."""
    return asked_for or PRESET_OF.get(dataset, "small")


def plan(options: Options) -> list[Cell]:
    """Return the cells of all tables asked for, as far as the preset has them."""
    from bench.systems import suits

    config = preset(chosen_preset(options))
    found = merge([tables[n].cells(options.seeds, options.variants) for n in wanted(options)])
    return [cell for cell in found if suits(cell.system, config)]


def reproduce(options: Options) -> None:
    """Run the plan, render the reports, and say what they say."""
    from bench.outcome import as_json, print_reports
    from bench.report import render_all
    from bench.runner import Runner, RunOptions
    from bench.workshop import Setup, Workshop, resolve_device

    started = time.perf_counter()
    device = resolve_device(options.device)
    setup = Setup(options.dataset, chosen_preset(options), device, options.data_root, options.limit)
    run_options = RunOptions(options.accuracy_seconds, options.force)
    runner = Runner(Workshop(setup), options.results_dir, run_options)
    cells = _sharing_plan(options, runner.workshop) if options.sharing else plan(options)
    cells = compilable(cells, runner.workshop.device)
    if options.dry_run:
        _rehearse(options, runner, cells)
        return
    outcome = _run(options, runner, cells, started)
    reports = [
        report
        for report in render_all(options.results_dir)
        if report.dataset == options.dataset and report.table in wanted(options)
    ]
    seconds = time.perf_counter() - started
    sharing = _on_sharing(options, runner)
    if options.json:
        print(as_json(outcome, reports, seconds, sharing))
    else:
        print(outcome.sentence(seconds))
        print_reports(reports, runner.workshop.section, sharing)
    if outcome.failed:
        print(f"{len(outcome.failed)} cells failed; the tables say why.", file=sys.stderr)
        raise SystemExit(1)


def _run(options: Options, runner: Runner, cells: Sequence[Cell], started: float) -> Outcome:
    """Run the plan, or what fits of it, and say what is left out."""
    from bench.budget import Budget, run_within, told

    if options.budget_minutes is None:
        return runner.run(cells)
    budget = Budget(60 * options.budget_minutes, time.perf_counter() - started)
    outcome, choices = run_within(runner, cells, options.seeds, budget)
    place = sys.stderr if options.json else sys.stdout
    print(told(choices, budget), file=place)
    if outcome.left_out:
        command = shlex.join(["python", "-m", "bench.reproduce", *sys.argv[1:]])
        print(f"go on with: {command}", file=place)
    return outcome


def _sharing_plan(options: Options, workshop: Workshop) -> list[Cell]:
    """Return the cells of the page on sharing; say which points this data set cannot have."""
    images, config = len(workshop.dataset.split("train")), workshop.config
    reach = sharing_points.Reach(workshop.dataset.name, images, config.train.batch_size)
    for sentence in sharing_points.left_out(reach):
        print(sentence, file=sys.stderr)
    return sharing_points.cells(options.seeds, config.head.layers, reach, options.axes)


def _rehearse(options: Options, runner: Runner, cells: Sequence[Cell]) -> None:
    """Print what the run would do."""
    from bench.dry_run import print_choices, print_plan

    minutes = options.budget_minutes
    if minutes is None:
        print_plan(runner, cells, as_json=options.json)
    else:
        print_choices(runner, cells, options.seeds, minutes, as_json=options.json)


def _on_sharing(options: Options, runner: Runner) -> dict[str, list[str]]:
    """Return the path of the page on sharing, with what it says on this run's section."""
    from bench.sharing_page import NAME, said

    if not options.sharing:
        return {}
    found = said(options.results_dir / options.dataset, runner.workshop.section)
    return {str(options.results_dir / f"{NAME}.md"): found}


if __name__ == "__main__":
    run_main(main)
