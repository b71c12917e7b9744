"""Every kind of cell has an estimate of its own, which grows with the work."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from bench.ablation.sharing_points import DEPTHS
from bench.material.workshop import Setup, Workshop
from bench.records import EVERY_SYSTEM, Cell, Kind, read, write_text
from bench.running.estimate import (
    COMPILE_SECONDS,
    COST_SECONDS,
    START_SECONDS,
    CostModel,
    _estimate,
    estimates,
)
from bench.running.runner import Runner, RunOptions
from tests.bench.hand_made import train, uniform

RATE = 1e9
SYSTEM = {
    **{
        "latency": EVERY_SYSTEM,
        "evaluations": EVERY_SYSTEM,
        "growth": EVERY_SYSTEM,
        "cost": "open_clip",
    },
    **{"shortlists": "two_stage", "shortlist_speed": "two_stage"},
}


def cell(kind: Kind, gallery: int = 0) -> Cell:
    return Cell(kind, SYSTEM.get(kind, "cookie"), 0, gallery)


def made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None = None, rate: float = RATE
) -> CostModel:
    monkeypatch.setenv("COOKIE_HOME", str(folder / "home"))
    workshop = Workshop(Setup("scenes", "smoke", "cpu", limit=limit))
    model = CostModel(Runner(workshop, folder / "results", RunOptions()))
    model.__dict__["rate"] = rate  # instead of measuring this machine
    return model


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CostModel:
    return made(tmp_path, monkeypatch)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_takes_some_time(kind: Kind, model: CostModel) -> None:
    one = cell(kind, 1_000 if kind == "growth" else 0)
    assert 0 < model.seconds(one, [one]) < 3600


def test_no_kind_is_taken_for_one_in_turns(model: CostModel) -> None:
    """Cells in turns alone depend on how many systems are timed beside them."""
    timed = [Cell("efficiency", name, 0) for name in ("cookie", "dual_stream", "single_stream")]
    for kind in get_args(Kind):
        one = cell(kind, 1_000 if kind == "growth" else 0)
        alone, beside = model.seconds(one, [one]), model.seconds(one, [one, *timed])
        assert (beside > alone) == (kind in ("latency", "evaluations")), kind


def test_evaluations_in_turns_by_hand(model: CostModel) -> None:
    """Smoke: two rounds at least and three at most in a second, and one before them."""
    names = ("cookie", "single_stream", "dual_stream")
    timed = [Cell("efficiency", name, 0) for name in names]  # the last one takes no turn
    turn = 2 * model._encoding() + 0.05
    rounds = max(2 * turn, min(3 * turn, 1.0))
    found = model.seconds(cell("evaluations"), timed)
    assert found == pytest.approx(START_SECONDS + turn + rounds)
    compiled = [*timed, Cell("efficiency", "cookie_compiled", 0)]
    assert model.seconds(cell("evaluations"), compiled) >= found + COMPILE_SECONDS


def test_one_modality_costs_its_own_items(model: CostModel) -> None:
    """Images are encoded once and scored N x N: by hand from the same counts."""
    images, captions = model._counts()
    fixed = 3.0
    work = images * model._image() + 2 * images**2 * model.config.head.embedding
    assert model.seconds(cell("images"), []) == pytest.approx(fixed + work / RATE)
    more = 2 * captions**2 * model.config.head.embedding + captions * model._caption()
    both = fixed + (images * model._image() + more) / RATE
    assert model.seconds(cell("texts"), []) == pytest.approx(both)


@pytest.mark.parametrize("kind", ["images", "texts", "accuracy", "train", "shortlists"])
def test_a_faster_machine_takes_less(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, fast = (made(tmp_path, monkeypatch, rate=rate) for rate in (RATE, 10 * RATE))
    assert fast.seconds(cell(kind), []) < slow.seconds(cell(kind), [])


def test_fewer_images_and_a_smaller_gallery_take_less(
    model: CostModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = made(tmp_path, monkeypatch, limit=4)
    for kind in ("images", "texts"):
        assert few.seconds(cell(kind), []) < model.seconds(cell(kind), [])
    large, small = (model.seconds(cell("growth", size), []) for size in (10**6, 10**3))
    assert small < large


def test_a_model_of_real_size_does_not_depend_on_the_data(model: CostModel) -> None:
    assert model.seconds(cell("cost"), []) == COST_SECONDS


@pytest.mark.parametrize(
    ("sampled", "given", "expected"),
    [
        (True, 150.0, 200.0),
        (True, 100.0, 150.0),
        (True, 300.0, 350.0),
        (False, 150.0, 200.0),
        (False, 300.0, 200.0),
    ],
)
def test_a_recorded_time_follows_the_time_that_is_given(
    sampled: bool, given: float, expected: float, model: CostModel
) -> None:
    """200 s were recorded with 150 s for the scores."""
    assert found(model, sampled, given) == expected


def test_the_time_for_scores_bounds_what_is_recorded(model: CostModel) -> None:
    assert found(model, False, 10.0) == pytest.approx(model._encoding() + 10.0)
    assert found(model, True, 1e-6) == pytest.approx(50.0)


def found(model: CostModel, sampled: bool, given: float) -> float:
    """Return the estimate of an accuracy cell by its record; it is no finished one of ours."""
    model.runner.options = RunOptions(accuracy_seconds=given)
    stored = dataclasses.replace(
        uniform("single_stream", 3, sampled=sampled, protocol={"limit": None, "seconds": 150.0}),
        seconds=200.0,
    )
    path = model.runner.store.path(stored.cell)
    write_text(path, stored.to_json())
    before = read(path)
    one = _estimate(model.runner, model, stored.cell, [stored.cell])
    assert (one.finished, one.source) == (False, "as recorded")
    assert one.seconds == model.as_before(before)
    return one.seconds


def test_nothing_is_finished_in_an_empty_folder(model: CostModel) -> None:
    cells: Sequence[Cell] = [cell("cost")]
    (found,) = estimates(model.runner, cells)
    assert (found.finished, found.source) == (False, "rough")
    assert "rough" in str(found)
    assert found.to_dict()["cell"] == "cost open_clip seed 0"


def test_a_row_is_estimated_with_its_own_settings(model: CostModel) -> None:
    """Four layers in place of one: three more layers' products, three times for their gradients."""
    config = model.runner.workshop.config
    one, four = (model.seconds(Cell("train", name, 0), []) for name in ("cookie", DEEP))
    width, tokens = config.head.width, config.vision.grid**2 + 14
    layer = 2 * (4 * width**2 + 2 * width * round(config.head.mlp_ratio * width))
    pairs = config.train.steps * config.train.batch_size
    assert four - one == pytest.approx(3 * pairs * 2 * tokens * 3 * layer / RATE)


def test_a_training_is_estimated_by_those_of_its_kind_that_are_recorded(model: CostModel) -> None:
    """Two records say twice and four times what arithmetic alone would: three times is expected."""
    deep, pair = (model._training(name) / RATE for name in (DEEP, "single_stream"))
    for name, times in (("cookie", 2), ("unshared", 4)):
        recorded = dataclasses.replace(train(name), seconds=times * model._training(name) / RATE)
        write_text(model.runner.store.path(recorded.cell), recorded.to_json())
    write_text(model.runner.store.folder / "broken-seed0-train.json", "{")
    assert model.seconds(Cell("train", DEEP, 5), []) == pytest.approx(3 * deep)
    assert model.seconds(Cell("train", "single_stream", 0), []) == pytest.approx(pair)


DEEP = DEPTHS[-1].system("cookie")
