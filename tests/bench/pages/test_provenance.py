"""A section says where its numbers come from, as far as its records tell."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.findings.sections import View, views
from bench.pages.provenance import facts, remarks, shares_gpu, title
from bench.records import Record
from tests.bench.hand_made import record, uniform, whole_section


def section(*records: Record) -> View:
    (view,) = views(records)
    return view


def hardware_line(view: View) -> str:
    (line,) = (line for line in facts(view) if line.startswith("- hardware"))
    return line


def test_the_title_names_preset_regime_and_machine() -> None:
    assert title(section(*whole_section())) == (
        "Preset `tiny` (scratch) on 2 cores of a test machine"
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "2 cores of a test machine; Python 3.11"),
        ([{"cost": {"precision": "float32"}}], "machine, encoders in float32; Python"),
        ([{"precision": "bfloat16"}], "machine, encoders in bfloat16; Python"),
        (
            [{"precision": "float32"}, {"cost": {"precision": "bfloat16"}}],
            "machine, encoders in bfloat16 and float32; Python",
        ),
    ],
)
def test_what_the_encoders_compute_in_is_told_where_it_is_known(
    values: list[dict[str, Any]], said: str
) -> None:
    records = [record("efficiency", "cookie", each, seed=i) for i, each in enumerate(values)]
    assert said in hardware_line(section(uniform("cookie", 3), *records))


@pytest.mark.parametrize(
    ("timed", "rest", "said"),
    [
        ((2,), (2,), ", 2 torch threads"),
        ((2,), (1, 2), ", 2 torch threads where times were taken and 1 or 2 elsewhere"),
        ((), (1,), ", 1 torch threads"),
    ],
)
def test_times_are_not_said_to_be_of_the_newest_records_threads(
    timed: tuple[int, ...], rest: tuple[int, ...], said: str
) -> None:
    made = [("efficiency", count) for count in timed] + [("train", count) for count in rest]
    records = [
        dataclasses.replace(found, environment={**found.environment, "threads": {"torch": count}})
        for seed, (kind, count) in enumerate(made)
        for found in [record(kind, "cookie", {}, seed=seed)]
    ]
    assert hardware_line(section(*records)).endswith(said)


def test_seeds_and_commits_are_those_of_the_records() -> None:
    made = uniform("cookie", 3)
    dirty = dict(made.environment) | {"commit": {"sha": "fedcba9876543210", "dirty": True}}
    other = dataclasses.replace(
        made, cell=dataclasses.replace(made.cell, seed=4), environment=dirty
    )
    lines = "\n".join(facts(section(made, other)))
    assert "- seeds: 0, 4 (speed: the first)" in lines
    assert "- commit: `0123456789ab`, `fedcba987654` with local changes" in lines


def test_a_shared_gpu_is_told_of_timings_alone() -> None:
    timed = record("efficiency", "cookie", {})
    shared = dataclasses.replace(
        timed, environment=dict(timed.environment) | {"after": {"gpu_processes": 2}}
    )
    assert not shares_gpu(timed)
    assert shares_gpu(shared)
    assert any("too long: 1." in line for line in remarks(section(shared)))
    assert not any("too long" in line for line in remarks(section(timed)))
