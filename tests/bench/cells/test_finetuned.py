"""Rows that go on from another row's frozen encoders: whose weights, what learns, what is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import makings
from bench.cells import accuracy
from bench.cells import train as cell
from bench.plan import needed
from bench.records import Cell
from bench.runner import Runner, RunOptions
from bench.systems import suits
from bench.variants import VARIANTS
from bench.workshop import Setup, Workshop
from cookie.errors import UserError
from cookie.presets import preset
from cookie.training.checkpoint import read_facts

NAME, START = "cookie_finetuned", "cookie"
STEPS = 6


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(makings, "FINETUNING_STEPS", STEPS)
        frozen = replace(preset("smoke"), regime="frozen")
        yield Workshop(Setup("scenes", "smoke", "cpu", config=frozen))


@pytest.fixture(scope="module")
def values(workshop: Workshop) -> dict[str, Any]:
    with pytest.raises(UserError, match="no finished training"):
        cell.run(workshop, NAME, 1, {})
    cell.run(workshop, START, 1, {})
    return dict(cell.run(workshop, NAME, 1, {})[0])


def test_it_goes_on_from_the_other_rows_weights(workshop: Workshop, values: dict[str, Any]) -> None:
    ours, theirs = (read_facts(workshop.run_dir(name, 1), "best") for name in (NAME, START))
    assert (ours["stage"], ours["start"]) == ("finetune", theirs["sha256"])
    first, second = values["stages"]
    assert (first["steps"], second["steps"]) == (6, STEPS)
    assert values["batch_size"] == 8
    pairs = values["samples_per_second"] * values["seconds"]
    assert pairs == pytest.approx(first["steps"] * 16 + second["steps"] * 8)


def test_the_encoders_learn_where_the_other_row_keeps_them(
    workshop: Workshop, values: dict[str, Any]
) -> None:
    begun = workshop.untrained(START, 1).state_dict()
    frozen, tuned = (workshop.trained(name, 1).state_dict() for name in (START, NAME))
    encoders = [name for name in begun if ".encoder." in name]
    assert encoders
    assert all(torch.equal(begun[name], frozen[name]) for name in encoders)
    assert sum(not torch.equal(frozen[name], tuned[name]) for name in encoders) > 20
    assert values["trainable_parameters"] == values["parameters"]


def test_it_reads_pixels_and_the_other_row_what_frozen_encoders_made(workshop: Workshop) -> None:
    """Encoders of random weights have no cache, so it shows in what is asked for alone."""
    asked = [workshop.read_by(name, workshop.untrained(name, 0)) for name in (NAME, START)]
    assert asked[0] is workshop.corpora(regime="finetune")
    assert asked[1] is workshop.corpora() is not asked[0]


def test_it_is_evaluated_on_the_test_split(workshop: Workshop, values: dict[str, Any]) -> None:
    found, _ = accuracy.run(workshop, NAME, 1, {})
    assert found["queries"] == {"i2t": 24, "t2i": 120}
    assert values["best_validation"] > 0


def test_a_plan_trains_the_other_row_first(workshop: Workshop, tmp_path: Path) -> None:
    assert needed(Cell("train", NAME, 2), []) == [Cell("train", START, 2)]
    assert needed(Cell("train", START, 2), []) == []
    runner = Runner(workshop, tmp_path, RunOptions())
    protocol = runner.protocol(Cell("train", NAME, 2), [])
    assert protocol["start"] == START
    assert protocol["changed"]["regime"] == "finetune"


def test_both_rows_get_the_same_budget() -> None:
    rows = {variant.name: variant for variant in VARIANTS}
    ours, control = rows[NAME], rows[rows[NAME].control]
    assert ours.settings is control.settings is makings.finetuned
    assert [dict(row.system)["start"] for row in (ours, control)] == [START, "dual_stream"]


def test_it_is_for_frozen_encoders_alone() -> None:
    small = preset("small")
    assert suits(NAME, small)
    assert not suits(NAME, replace(small, regime="finetune"))
    assert not suits(NAME, preset("tiny"))
