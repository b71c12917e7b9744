"""A cell alone: the same findings, its reasons, and what becomes of a killed process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.material.workshop import Setup, Workshop
from bench.measure.process import ProcessError
from bench.records import EVERY_SYSTEM, Cell, Kind
from bench.running import own_process
from bench.running.own_process import run_alone
from bench.running.protocols import protocol
from cookie.errors import UserError
from cookie.presets import preset

TRAIN = Cell("train", "dual_stream", 0)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))


def test_the_work_is_done_elsewhere_with_these_settings() -> None:
    config = preset("smoke")
    config = replace(config, train=replace(config.train, steps=3))
    workshop = Workshop(Setup("scenes", "smoke", "cpu", config=config))
    found = run_alone(workshop, TRAIN, {})
    assert found.values["steps"] == 3
    assert found.shortages == []
    assert workshop.trained("dual_stream", 0), "what it left is found here"


def test_what_a_user_can_mend_comes_back_as_such() -> None:
    workshop = Workshop(Setup("scenes", "smoke", "cpu"))
    cell = Cell("latency", EVERY_SYSTEM, 0)
    chosen = {"systems": ["cookie"], "shortlist": 5, "neighbors": 3}
    with pytest.raises(UserError, match="cookie-seed0"):
        run_alone(workshop, cell, chosen)


def test_an_error_of_the_program_shows_where_it_was() -> None:
    workshop = Workshop(Setup("scenes", "smoke", "cpu"))
    with pytest.raises(ProcessError, match="KeyError: 'systems'"):
        run_alone(workshop, Cell("latency", EVERY_SYSTEM, 0), {})


@pytest.mark.parametrize(("code", "error"), [(-9, UserError), (-11, ProcessError)])
def test_a_killed_process_costs_its_cell_alone(
    code: int, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: Any) -> None:  # noqa: ANN401
        raise ProcessError(f"_work ended with exit code {code}", code)

    monkeypatch.setattr(own_process, "run_in_fresh_process", end)
    with pytest.raises(error, match=r"killed|-11"):
        run_alone(Workshop(Setup("scenes", "smoke", "cpu")), TRAIN, {})


@pytest.mark.parametrize(
    ("name", "kind", "process"),
    [
        ("tiny", "efficiency", "its own"),
        ("tiny", "latency", "its own"),
        ("tiny", "accuracy", None),
        ("smoke", "efficiency", "the runner's"),
    ],
)
def test_times_that_mean_something_are_taken_alone(
    name: str, kind: Kind, process: str | None
) -> None:
    workshop = Workshop(Setup("scenes", name, "cpu"))
    cell = Cell(kind, EVERY_SYSTEM if kind == "latency" else "cookie", 0)
    assert protocol(workshop, 60.0, cell, [cell]).get("process") == process
