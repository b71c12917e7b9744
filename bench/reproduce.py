"""Run what a table needs and render it: ``python -m bench.reproduce --table 2``.

Finished cells are never run twice; Ctrl-C or a kill keeps them, and training goes on from its
last checkpoint.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import tyro

from bench.ablation import sharing_points
from bench.plan import compilable, merge, only
from bench.running.options import Options, check, chosen_preset, wanted
from bench.tables import tables
from cookie.errors import UserError, run_main
from cookie.files import require_folder
from cookie.presets import PRESETS, preset

if TYPE_CHECKING:
    from bench.material.workshop import Workshop
    from bench.records import Cell
    from bench.running.outcome import Outcome
    from bench.running.runner import Runner


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


def plan(options: Options) -> list[Cell]:
    """Return the cells of all tables asked for, as far as the preset has them."""
    from bench.systems import suits

    config = preset(chosen_preset(options))
    found = merge([tables[n].cells(options.seeds, options.variants) for n in wanted(options)])
    return [cell for cell in found if suits(cell.system, config)]


def reproduce(options: Options) -> None:
    """Run the plan, render the reports, and say what they say."""
    from bench.material.workshop import Setup, Workshop, resolve_device
    from bench.report import render_all
    from bench.running.outcome import as_json, print_reports
    from bench.running.runner import Runner, RunOptions

    started = time.perf_counter()
    require_folder(options.results_dir / options.dataset, "--results-dir")
    device = resolve_device(options.device)
    setup = Setup(options.dataset, chosen_preset(options), device, options.data_root, options.limit)
    run_options = RunOptions(options.accuracy_seconds, options.force)
    workshop = Workshop(setup)
    workshop.dataset.require("train", "val", "test")
    runner = Runner(workshop, options.results_dir, run_options)
    asked = _sharing_plan(options, runner.workshop) if options.sharing else plan(options)
    cells = compilable(_chosen(options, asked), runner.workshop.device)
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
    from bench.running.budget import Budget, run_within, told

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


def _chosen(options: Options, cells: Sequence[Cell]) -> Sequence[Cell]:
    """Return the cells of the systems asked for.

    Raises:
        UserError: there are none.
    """
    if not options.systems:
        return cells
    found = only(cells, options.systems)
    if not found:
        names = ", ".join(options.systems)
        raise UserError(f"Nothing that is asked for is measured of {names}: --list shows tables.")
    return found


def _rehearse(options: Options, runner: Runner, cells: Sequence[Cell]) -> None:
    """Print what the run would do."""
    from bench.running.dry_run import print_choices, print_plan

    minutes = options.budget_minutes
    if minutes is None:
        print_plan(runner, cells, as_json=options.json)
    else:
        print_choices(runner, cells, options.seeds, minutes, as_json=options.json)


def _on_sharing(options: Options, runner: Runner) -> dict[str, list[str]]:
    """Return the path of the page on sharing, with what it says on this run's section."""
    from bench.sharing.page import NAME, said

    if not options.sharing:
        return {}
    found = said(options.results_dir / options.dataset, runner.workshop.section)
    return {str(options.results_dir / f"{NAME}.md"): found}


if __name__ == "__main__":
    run_main(main)
