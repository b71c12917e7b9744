"""What :mod:`bench.reproduce` can be asked for, and what is wrong with what it was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bench.ablation import sharing_points
from bench.systems import systems
from bench.tables import tables
from cookie.errors import UserError, unknown
from cookie.presets import preset
from cookie.ranges import check_seed

PRESET_OF = {"scenes": "tiny"}
"""Preset by data set, for those that are not photographs; photographs take ``small``."""


@dataclass(frozen=True)
class Options:
    """Reproduce a table: train, evaluate and measure what it needs, then render it.

    Examples:
        python -m bench.reproduce --table 2

        python -m bench.reproduce --table 2 --dataset flickr8k --data-root ../data

        python -m bench.reproduce --all --seeds 0 1 2 --dry-run

        python -m bench.reproduce --table 1 --systems dual_stream cookie --seeds 0 1 2 3 4

        python -m bench.reproduce --sharing --seeds 0 1 2 3 4 --axes steps

        python -m bench.reproduce --all --dataset flickr8k --budget-minutes 25

    Attributes:
        table: number of the table; --list shows them.
        all: all tables.
        sharing: when sharing pays: COOKIE and its rivals by training pairs, depth and steps.
        axes: along which of these.
        systems: of a plan, the cells of these systems and the trainings that they need; those in
            which systems take turns are left out. --list shows them.
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
    systems: tuple[str, ...] = ()
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


def check(options: Options) -> None:
    """Raise :class:`UserError` for what is wrong with the options themselves."""
    if [options.table is not None, options.all, options.sharing].count(True) != 1:
        raise UserError(
            "Say which table with --table N, or --all, or --sharing; --list shows them."
        )
    wanted(options)
    for name in options.systems:
        systems[name]  # raises for one that is unknown
    preset(chosen_preset(options))
    if not options.seeds or len(set(options.seeds)) < len(options.seeds):
        raise UserError("--seeds needs one or more numbers, each another.")
    for seed in options.seeds:
        check_seed(seed)
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
