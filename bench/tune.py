"""Try values of a setting on validation, the same for every system: ``python -m bench.tune``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from bench.material.one_setting import changed, number
from bench.pages.searches import Search, Tried, best_of, render_searches
from cookie.errors import UserError, run_main
from cookie.files import require_folder
from cookie.ranges import check, check_seed

if TYPE_CHECKING:
    from bench.material.workshop import Setup, Workshop

SYSTEMS = ("dual_stream", "cookie", "single_stream")
JUDGED_PAIRS = 600_000
"""Pairs by which a trained pair scorer is judged, about. By the few queries that choose its weights
RSUM moves by tens of points from training to training where all queries move it by ten."""


@dataclass(frozen=True)
class TuneOptions:
    """Train every system with every value, and keep what each validates best with.

    The same command goes on where it was interrupted. Nothing is changed in the presets.

    Examples:
        python -m bench.tune --setting train.learning_rate --values 5e-4 1e-3 2e-3
        python -m bench.tune --values 1e-3 2e-3 4e-3 --dataset flickr8k --steps 300

    Attributes:
        values: to try.
        setting: a number in the configuration, as part.field.
        systems: to train; the main ones by default.
        dataset: scenes (generated), flickr8k, flickr30k, coco, or a folder's name.
        preset: whose other settings are kept; by default the one that suits the data set.
        seed: of every training.
        steps: of every training, where the preset's take too long; by default the preset's.
        device: auto, cpu, cuda or cuda:N.
        data_root: where data sets lie; by default COOKIE_DATA, then data.
        results_dir: where the search is kept, and its page.
    """

    values: tuple[float, ...]
    setting: str = "train.learning_rate"
    systems: tuple[str, ...] = SYSTEMS
    dataset: str = "scenes"
    preset: str | None = None
    seed: int = 0
    steps: int | None = None
    device: str = "auto"
    data_root: Path | None = None
    results_dir: Path = Path("results")


def main() -> None:
    """Command line entry."""
    search = tune(tyro.cli(TuneOptions, prog="python -m bench.tune"))
    for system, own in search.by_system().items():
        best = best_of(own)
        print(f"{system}: {search.setting} = {best.value:g} validates best, {best.score:.1f}")


def tune(options: TuneOptions) -> Search:
    """Train what was not tried yet; keep the search after every training.

    Raises:
        UserError: the folder cannot be written to; there is no such setting, it is no number, or
            a value is not in its range; a system is unknown or not trained; there are no steps; the
            data set has nothing to train or to validate on; or the search as it was left is of
            other data.
    """
    from bench.material.workshop import Workshop

    require_folder(options.results_dir / options.dataset, "--results-dir")
    setup = _setup(options)
    plan = _plan(options, setup)
    workshop = Workshop(setup)
    workshop.dataset.require("train", "val")
    search = _begun(workshop, options)
    for system, value in plan:
        workshop = Workshop(replace(setup, change=(options.setting, value)))
        search = search.as_kept(options.results_dir)
        if not _is_known(search, workshop, system, value):
            print(f"{system}: {options.setting} = {value:g}", file=sys.stderr, flush=True)
            made = _try(workshop, system, value, options.seed)
            search = search.add(made, options.results_dir)
    render_searches(options.results_dir)
    return search


def _plan(options: TuneOptions, setup: Setup) -> list[tuple[str, float]]:
    """Return systems and values, all of which can be trained.

    Raises:
        UserError: a system is unknown or not trained, or a value is none of the setting's.
    """
    from bench.material.workshop import Workshop
    from bench.systems import systems

    check_seed(options.seed)
    plan = [(systems[each].name, value) for each in options.systems for value in options.values]
    for system, value in plan:
        if systems[system].build is None:
            raise UserError(f"{system} is not trained, so it cannot be tuned: leave it out.")
        check(Workshop(replace(setup, change=(options.setting, value))).settings(system))
    return plan


def _setup(options: TuneOptions) -> Setup:
    from bench.material.workshop import Setup, resolve_config, resolve_device
    from bench.running.options import preset_for

    name, device = preset_for(options.dataset, options.preset), resolve_device(options.device)
    setup = Setup(options.dataset, name, device, options.data_root)
    if options.steps is None:
        return setup
    if options.steps < 1:
        raise UserError(f"--steps {options.steps} trains nothing: give 1 or more, or none.")
    return replace(
        setup, config=changed(resolve_config(name, device), "train.steps", options.steps)
    )


def _begun(workshop: Workshop, options: TuneOptions) -> Search:
    """Return the search as it was left, or a new one; another number of steps begins anew."""
    from cookie.presets import preset

    section, steps = workshop.section, workshop.config.train.steps
    usual = preset(section.preset).train.steps
    new = Search(
        dataset=workshop.dataset.name,
        preset=section.preset,
        regime=section.regime,
        hardware=section.hardware,
        setting=options.setting,
        used=number(workshop.config, options.setting),
        seed=options.seed,
        steps=steps,
        usual_steps=None if steps == usual else usual,
        dataset_sha256=workshop.dataset.sha256,
    )
    return new.as_kept(options.results_dir)


def _is_known(search: Search, workshop: Workshop, system: str, value: float) -> bool:
    digest = workshop.settings(system).digest()
    return (system, value, digest) in {(one.system, one.value, one.digest) for one in search.tried}


def _try(workshop: Workshop, system: str, value: float, seed: int) -> Tried:
    from bench.cells import train
    from bench.systems import systems

    found: dict[str, Any] = dict(train.run(workshop, system, seed, {})[0])
    score, queries = found["best_validation"], 0
    if systems[system].family == "pair":
        split = workshop.dataset.split("val")
        queries = max(1, JUDGED_PAIRS // (len(split) + len(split.captions)))
        score = train.judged(workshop, system, seed, queries)
    return Tried(
        system=system,
        label=systems[system].label,
        value=value,
        score=score,
        best_step=found["best_step"],
        seconds=found["seconds"],
        digest=workshop.settings(system).digest(),
        commit=workshop.environment["commit"],
        queries=queries,
    )


if __name__ == "__main__":
    run_main(main)
