"""A search trains every system with every value once, and leaves the presets alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cells import train
from bench.material.one_setting import changed
from bench.material.workshop import Setup, Workshop
from bench.pages.searches import read_searches
from bench.tune import TuneOptions, tune
from cookie.errors import UserError
from cookie.presets import preset
from tests.cookie.data.photographs import entry, jpeg, write_annotations, write_images


class Trainings:
    """Stands in for trainings: notes what is trained, and scores by the value."""

    def __init__(self) -> None:
        self.made: list[tuple[str, float]] = []
        self.fails_at = 10**6

    def __call__(
        self, workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Pretend to train."""
        if len(self.made) >= self.fails_at:
            raise KeyboardInterrupt
        rate = workshop.settings(system).train.learning_rate
        self.made.append((system, rate))
        return {"best_validation": 100 - 1e4 * rate, "best_step": 3, "seconds": 2.0}, {}


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trainings:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    made = Trainings()
    monkeypatch.setattr(train, "run", made)
    return made


def options(folder: Path, *values: float, **other: Any) -> TuneOptions:  # noqa: ANN401
    chosen = {"systems": ("dual_stream", "cookie"), "preset": "smoke", "device": "cpu"} | other
    return TuneOptions(values, results_dir=folder, **chosen)


def test_every_system_gets_every_value_once(trainings: Trainings, tmp_path: Path) -> None:
    found = tune(options(tmp_path, 1e-3, 2e-3))
    expected = [(s, v) for s in ("dual_stream", "cookie") for v in (1e-3, 2e-3)]
    assert trainings.made == expected
    assert [(one.system, one.value) for one in found.tried] == expected
    assert [one.score for one in found.tried] == [90.0, 80.0, 90.0, 80.0]
    assert (tmp_path / "searches.md").is_file()
    tune(options(tmp_path, 1e-3, 2e-3, 3e-3))
    assert trainings.made[4:] == [("dual_stream", 3e-3), ("cookie", 3e-3)]


def test_an_interrupted_search_goes_on(trainings: Trainings, tmp_path: Path) -> None:
    trainings.fails_at = 3
    with pytest.raises(KeyboardInterrupt):
        tune(options(tmp_path, 1e-3, 2e-3))
    (kept,) = read_searches(tmp_path)
    assert len(kept.tried) == 3
    trainings.fails_at = 9
    tune(options(tmp_path, 1e-3, 2e-3))
    assert trainings.made[3:] == [("cookie", 2e-3)]


def test_another_seed_begins_anew(trainings: Trainings, tmp_path: Path) -> None:
    tune(options(tmp_path, 1e-3))
    found = tune(options(tmp_path, 1e-3, seed=1))
    assert len(trainings.made) == 4
    assert len(found.tried) == 2


def test_fewer_steps_are_a_search_of_their_own(trainings: Trainings, tmp_path: Path) -> None:
    usual = tune(options(tmp_path, 1e-3))
    shorter = tune(options(tmp_path, 1e-3, steps=3))
    assert len(trainings.made) == 4
    assert (usual.usual_steps, shorter.usual_steps) == (None, preset("smoke").train.steps)
    assert {(found.steps, len(found.tried)) for found in read_searches(tmp_path)} == {
        (preset("smoke").train.steps, 2),
        (3, 2),
    }
    page = (tmp_path / "searches.md").read_text()
    assert f"3 steps (the preset's are {preset('smoke').train.steps}), seed 0" in page


def test_every_training_has_as_many_steps_as_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    (one,) = tune(options(tmp_path, 1e-3, systems=("dual_stream",), steps=2)).tried
    assert one.best_step <= 2
    config = changed(changed(preset("smoke"), "train.steps", 2), "train.learning_rate", 1e-3)
    assert one.digest == config.digest()


def test_no_steps_are_told(trainings: Trainings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--steps 0 trains nothing"):
        tune(options(tmp_path, 1e-3, steps=0))
    assert trainings.made == []


@pytest.mark.parametrize(
    "setting", ["train", "train.nothing", "nothing.steps", "train.precision", ""]
)
def test_what_is_no_number_is_told(setting: str, trainings: Trainings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no number in the configuration"):
        tune(options(tmp_path, 1.0, setting=setting))
    assert trainings.made == []


def test_data_without_a_validation_split_are_told_first(
    trainings: Trainings, tmp_path: Path
) -> None:
    write_annotations(tmp_path / "data" / "mine", [entry("a.jpg", "train"), entry("b.jpg", "test")])
    write_images(tmp_path / "data" / "mine", {"a.jpg": jpeg(1), "b.jpg": jpeg(2)})
    with pytest.raises(UserError, match="'mine' has no val images, only train and test"):
        tune(options(tmp_path, 1e-3, dataset="mine", data_root=tmp_path / "data"))
    assert trainings.made == []


def test_a_results_folder_that_is_a_file_is_told_first(
    trainings: Trainings, tmp_path: Path
) -> None:
    (tmp_path / "results").touch()
    with pytest.raises(UserError, match=r"results' is no folder, .*: mend --results-dir"):
        tune(options(tmp_path / "results", 1e-3))
    assert trainings.made == []


def test_an_unknown_system_is_told_first(trainings: Trainings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown system 'cooky'"):
        tune(options(tmp_path, 1e-3, systems=("cookie", "cooky")))
    assert trainings.made == []


def test_a_real_training_is_kept_with_its_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    found = tune(options(tmp_path, 5e-4, systems=("dual_stream",)))
    config = changed(preset("smoke"), "train.learning_rate", 5e-4)
    (one,) = found.tried
    assert one.digest == config.digest()
    assert 0 < one.best_step <= config.train.steps
    assert one.score > 0


def test_a_system_with_settings_of_its_own_is_given_the_value_that_is_tried() -> None:
    setup = Setup("scenes", "tiny", "cpu")
    assert Workshop(setup).settings("single_stream_steps_2").train.steps == 640
    tried = Workshop(replace(setup, change=("train.steps", 7)))
    for name in ("single_stream", "single_stream_steps_2", "cookie"):
        assert tried.settings(name).train.steps == 7


def test_a_pair_scorer_is_judged_by_more_queries_than_choose_its_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    asked: list[tuple[int, int]] = []
    score = train._sampled_rsum

    def noted(scorer: Any, corpus: Any, sample: Any, precision: Any) -> float:  # noqa: ANN401
        asked.append((len(sample[0]), len(sample[1])))
        return score(scorer, corpus, sample, precision)

    monkeypatch.setattr(train, "_sampled_rsum", noted)
    (one,) = tune(options(tmp_path, 1e-3, systems=("single_stream",))).tried
    assert asked == [(8, 8), (8, 8), (24, 120)]
    assert one.queries > 120
    assert 0 < one.score <= 600


def test_a_search_does_not_go_on_with_other_data(trainings: Trainings, tmp_path: Path) -> None:
    found = tune(options(tmp_path, 1e-3))
    assert found.dataset_sha256
    replace(found, dataset_sha256="ab" * 32).write(tmp_path)
    with pytest.raises(UserError, match="is a search on other images or captions than these"):
        tune(options(tmp_path, 1e-3))
    replace(found, dataset_sha256=None).write(tmp_path)  # as earlier versions left it
    tune(options(tmp_path, 1e-3, 2e-3))
    assert [value for _, value in trainings.made] == [1e-3, 1e-3, 2e-3, 2e-3]


def test_two_searches_at_once_keep_what_both_try(
    trainings: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is started and done while this one trains."""

    def meanwhile(*arguments: Any) -> Any:  # noqa: ANN401
        monkeypatch.setattr(train, "run", trainings)
        tune(options(tmp_path, 2e-3))
        return trainings(*arguments)

    monkeypatch.setattr(train, "run", meanwhile)
    found = tune(options(tmp_path, 1e-3, 2e-3))
    assert {(one.system, one.value) for one in found.tried} == {
        (system, value) for system in ("dual_stream", "cookie") for value in (1e-3, 2e-3)
    }
    assert read_searches(tmp_path) == [found]
    assert len(trainings.made) == len(found.tried) == 4


@pytest.mark.parametrize(
    ("changes", "values", "sentence"),
    [
        ({"setting": "head.layers"}, (1, 2.5), "head.layers cannot be 2.5"),
        ({"setting": "head.layers"}, (1, -1), "head.layers is -1: choose 0 or more"),
        ({}, (1e-3, -1.0), "train.learning_rate is -1.0: choose 0 or more"),
        ({"setting": "train.evaluate_every"}, (0,), "train.evaluate_every is 0"),
        ({"systems": ("cookie", "two_stage")}, (1e-3,), "two_stage is not trained, so it cannot"),
        ({"seed": -1}, (1e-3,), "The seed is -1"),
    ],
)
def test_what_cannot_be_trained_is_told_first(
    changes: dict[str, Any],
    values: tuple[float, ...],
    sentence: str,
    trainings: Trainings,
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match=sentence):
        tune(options(tmp_path, *values, **changes))
    assert trainings.made == []
