"""The points at which sharing is looked at: rows of the ablation with one thing changed."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from bench.ablation.makings import layers
from bench.ablation.sharing_points import (
    BASELINES,
    BESIDE,
    DEPTHS,
    EVERY_AXIS,
    LONGER,
    OWN,
    REFERENCE,
    RIVALS,
    SHARES,
    STEPS,
    Axis,
    Point,
    Reach,
    bases,
    cells,
    left_out,
    out_of_reach,
    points,
)
from bench.ablation.variants import VARIANTS
from bench.material.workshop import Setup, Workshop
from bench.records import Cell
from bench.running.runner import Runner, RunOptions
from bench.systems import changes, systems
from cookie.data.scenes import SMOKE
from cookie.errors import UserError
from cookie.presets import preset


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIE_HOME", str(tmp_path_factory.mktemp("home")))
        return Workshop(Setup("scenes", "smoke", "cpu"))


def test_every_point_has_all_systems_and_names_are_those_of_the_ablation() -> None:
    axes: dict[Axis, tuple[Point, ...]] = {"pairs": SHARES, "depth": DEPTHS, "steps": STEPS}
    for axis, base in product(axes, (*RIVALS, *BASELINES, REFERENCE)):
        assert (base in bases(axis)) == (axis == "steps" or base not in BASELINES)
        for point in axes[axis] if base in bases(axis) else ():
            system = systems[point.system(base)]
            assert system.train_share == point.share
            assert system.build is systems[base].build
            assert system.kinds[:2] == ("train", "accuracy")
            assert system.variant or point is OWN
    assert SHARES[1].system("cookie") == "cookie_quarter"
    assert DEPTHS[1].system("cookie") == "cookie_depth_2"
    assert OWN.system("cookie") == "cookie"
    assert set(LONGER) < set(systems)
    assert LONGER[:3] == ("dual_stream_steps_2", "single_stream_steps_2", "cookie_steps_2")


def test_the_ablation_keeps_its_rows() -> None:
    names = {variant.name for variant in VARIANTS}
    added = {point.system(base) for point in (*SHARES, *DEPTHS) for base in RIVALS} - set(RIVALS)
    assert added
    assert not added & names


@pytest.mark.parametrize("point", [point for point in SHARES if point is not OWN])
def test_a_share_changes_nothing_but_the_share(point: object) -> None:
    config = preset("tiny")
    for base in (REFERENCE, *RIVALS):
        name = f"{base}_{point.suffix}"  # type: ignore[attr-defined]
        assert systems[name].settings(config) == systems[base].settings(config)


@pytest.mark.parametrize("depth", [2, 4])
def test_depth_comes_before_what_is_of_equal_size(depth: int) -> None:
    config = preset("tiny")
    deep = layers(depth)(config)
    for base in (REFERENCE, *RIVALS):
        found = systems[f"{base}_depth_{depth}"].settings(config)
        assert found == systems[base].settings(deep)
        assert found.head.layers == depth
    equal = systems[f"unshared_equal_depth_{depth}"].settings(config)
    assert changes(deep, equal).keys() == {"head.mlp_ratio"}


@pytest.mark.parametrize("point", STEPS[1:])
def test_more_steps_change_nothing_but_the_steps(point: Point) -> None:
    config = preset("tiny")
    for base in (REFERENCE, *RIVALS, *BASELINES):
        usual = systems[base].settings(config)
        longer = systems[point.system(base)].settings(config)
        assert changes(usual, longer) == {"train.steps": point.times * config.train.steps}


def test_axes_ascend_and_hold_the_presets_own_depth_once() -> None:
    assert [point.share for point in points("pairs", 1)] == [0.1, 0.25, 0.5, 1, 4, 16]
    assert [point.times for point in points("steps", 1)] == [1, 2, 4, 8]
    assert [point.layers for point in points("depth", 1)] == [None, 2, 4]
    assert [point.layers for point in points("depth", 2)] == [None, 4]
    assert [point.layers for point in points("depth", 3)] == [2, None, 4]


SCENES, PHOTOGRAPHS = Reach("scenes", 4000, 128), Reach("flickr8k", 6000, 256)


def test_only_generated_data_reach_beyond_what_they_have() -> None:
    beyond = [point for point in SHARES if point.share > 1]
    assert len(beyond) == 2
    assert not any(out_of_reach(point, SCENES) for point in SHARES)
    assert not any(out_of_reach(point, PHOTOGRAPHS) for point in SHARES if point not in beyond)
    assert left_out(SCENES) == []
    assert left_out(PHOTOGRAPHS) == [
        "400% of the pairs is left out: flickr8k has no further training pairs.",
        "1600% of the pairs is left out: flickr8k has no further training pairs.",
    ]


def test_what_does_not_fill_a_batch_is_left_out() -> None:
    sentence = "10% of the pairs is left out: 255 training images do not fill a batch of 256."
    assert left_out(Reach("scenes", 2550, 256)) == [sentence]
    assert left_out(Reach("scenes", 2560, 256)) == []
    names = {cell.system for cell in cells((0,), 1, Reach("scenes", 2550, 256), EVERY_AXIS)}
    assert "cookie_quarter" in names
    assert "cookie_tenth" not in names


def test_the_plan_has_every_cell_once_and_trains_before_it_evaluates() -> None:
    found = cells((0, 1), 1, SCENES, EVERY_AXIS)
    assert len(found) == len(set(found))
    names = {cell.system for cell in found}
    assert {"cookie", "cookie_tenth", "unshared_equal_16x", "cookie_image_text_depth_4"} <= names
    assert {"unshared", "unshared_half", "unshared_quarter", "unshared_tenth"} <= names
    assert "unshared_4x" not in names
    assert {(cell.kind, cell.seed) for cell in found} == {
        (kind, seed) for kind in ("train", "accuracy") for seed in (0, 1)
    }
    kinds = [cell.kind for cell in found]
    assert kinds == sorted(kinds, reverse=True)
    photographs = {cell.system for cell in cells((0,), 1, PHOTOGRAPHS, EVERY_AXIS)}
    assert names - photographs == {
        f"{base}_{times}" for base in (REFERENCE, *RIVALS) for times in ("4x", "16x")
    }
    assert not any("depth_2" in cell.system for cell in cells((0,), 2, SCENES, EVERY_AXIS))


def test_an_axis_is_planned_by_itself() -> None:
    names = {cell.system for cell in cells((0,), 1, SCENES, ("steps",))}
    own = {REFERENCE, *RIVALS, *BASELINES}
    assert names == {point.system(base) for point in STEPS for base in own} | {BESIDE}
    assert not names & {"cookie_tenth", "cookie_depth_2"}
    depths = {cell.system for cell in cells((0,), 1, SCENES, ("depth",))}
    assert not depths & {"cookie_tenth", "cookie_steps_2", "single_stream"}


def test_more_pairs_begin_like_the_standard_ones_and_leave_the_test_images(
    workshop: Workshop,
) -> None:
    module = workshop.untrained("cookie_4x", 0)
    larger = workshop.training_split("cookie_4x", module)
    standard = workshop.corpora()["train"]
    assert larger.image_count == 4 * SMOKE.train == 4 * standard.image_count
    assert list(larger.captions[: len(standard.captions)]) == list(standard.captions)
    first = np.arange(standard.image_count)
    assert larger.images(first).pixels.equal(standard.images(first).pixels)  # type: ignore[union-attr]
    held_out = {"val", "test"}
    seen = {scene.key for scene in workshop._grown(4.0).split("train").scenes or ()}
    for name in held_out:
        assert not seen & {scene.key for scene in workshop.dataset.split(name).scenes or ()}
    assert set(workshop._grown(4.0).splits) == {"train"}


def test_a_tenth_is_the_first_images(workshop: Workshop) -> None:
    module = workshop.untrained("cookie_tenth", 0)
    assert workshop.training_split("cookie_tenth", module).image_count == 6


def test_photographs_cannot_be_made(workshop: Workshop) -> None:
    object.__setattr__(workshop.dataset, "name", "scene")
    try:
        with pytest.raises(UserError, match="did you mean 'scenes'"):
            workshop._grown(2.0)
    finally:
        object.__setattr__(workshop.dataset, "name", "scenes")


def test_a_record_says_how_many_pairs_there_were(workshop: Workshop, tmp_path: Path) -> None:
    protocol = Runner(workshop, tmp_path, RunOptions()).protocol(Cell("train", "cookie_4x", 0), [])
    assert protocol["train_share"] == 4.0
    assert protocol["changed"] == {}
