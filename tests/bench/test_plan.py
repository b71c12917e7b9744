"""The plan holds every cell once, in an order in which they can be run."""

from __future__ import annotations

import pytest
import torch

from bench.plan import ORDER, cells_of, compilable, merge, only, timed_in_turns
from bench.records import Cell
from bench.systems import System, register, suits, systems
from bench.tables import tables
from cookie.errors import UserError
from cookie.presets import preset


def test_what_is_trained_comes_first_and_once() -> None:
    cells = cells_of(("cookie", "single_stream", "two_stage"), (0,), ("train", "accuracy"))
    assert cells == [
        Cell("train", "cookie", 0),
        Cell("train", "single_stream", 0),
        Cell("accuracy", "cookie", 0),
        Cell("accuracy", "single_stream", 0),
        Cell("accuracy", "two_stage", 0),
    ]


def test_merged_plans_hold_every_cell_once_and_keep_the_order() -> None:
    plans = [tables[number].cells((0, 1), True) for number in tables]
    merged = merge(plans)
    assert set(merged) == {cell for plan in plans for cell in plan}
    assert len(set(merged)) == len(merged)
    kinds = [ORDER.index(cell.kind) for cell in merged]
    assert kinds == sorted(kinds)


def test_a_plan_can_be_of_some_systems_alone() -> None:
    plan = cells_of(["dual_stream", "cookie", "single_stream", "two_stage"], [0, 1], ORDER)
    chosen = only(plan, ["two_stage"])
    assert {cell.system for cell in chosen if cell.kind != "train"} == {"two_stage"}
    trained = [cell for cell in chosen if cell.kind == "train"]
    assert {cell.system for cell in trained} == {"cookie", "single_stream"}
    assert {cell.seed for cell in trained} == {0, 1}
    assert [cell for cell in plan if cell in set(chosen)] == chosen
    begun = cells_of(["dual_stream", "dual_stream_finetuned", "cookie"], [0], ["train"])
    assert [cell.system for cell in only(begun, ["dual_stream_finetuned"])] == [
        "dual_stream",
        "dual_stream_finetuned",
    ]


def test_every_row_is_made_of_systems_that_are_trained() -> None:
    for name in systems:
        for part in systems[name].parts:
            assert systems[part].build is not None
            assert "train" in systems[part].kinds


def test_markers_tell_systems_apart_without_color() -> None:
    markers = [systems[name].marker for name in systems if not systems[name].variant]
    assert all(markers)
    assert len(set(markers)) == len(markers)


def test_a_system_is_registered_once() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register(System("cookie", "again", "dual", "o"))


def test_an_unknown_system_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'cookie'"):
        _ = systems["cooky"]


def test_compiled_rows_are_left_out_where_nothing_can_be_compiled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells, cpu = tables["2"].cells((0,), False), torch.device("cpu")
    monkeypatch.setattr("cookie.compiling.compiler_problem", lambda _: None)
    assert compilable(cells, cpu) == cells
    monkeypatch.setattr("cookie.compiling.compiler_problem", lambda _: "Install g++.")
    left = compilable(cells, cpu)
    assert capsys.readouterr().err == "Compiled rows are left out. Install g++.\n"
    assert left == [cell for cell in cells if not cell.system.endswith("_compiled")]
    assert len(left) < len(cells)
    assert compilable(left, cpu) == left
    assert capsys.readouterr().err == ""


def test_what_is_timed_in_turns_is_what_is_timed_alone_as_well() -> None:
    plan = tables["2"].cells((0,), False)
    compared = ["cookie", "cookie_compiled", "single_stream", "single_stream_compiled"]
    assert timed_in_turns("evaluations", plan) == compared
    assert set(compared) < set(timed_in_turns("latency", plan))
    assert timed_in_turns("evaluations", [Cell("efficiency", "cookie", 0)]) == ["cookie"]
    assert timed_in_turns("evaluations", [Cell("train", "cookie", 0)]) == []


def test_compiled_rows_are_none_of_the_smoke_preset() -> None:
    names = ("cookie_compiled", "single_stream_compiled")
    assert not any(suits(name, preset("smoke")) for name in names)
    assert all(suits(name, preset("tiny")) for name in names)
