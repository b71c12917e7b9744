"""Scenes and their hard negatives."""

from collections import Counter
from itertools import combinations

import pytest

from cookie.data import scene_graph
from cookie.data.draws import Draws
from cookie.data.scene_graph import CANVAS, RADIUS, Scene, SceneObject, draw_negative, draw_scene

SCENES = [draw_scene(Draws(11, stream), stream) for stream in range(300)]


def values(scene: Scene, attribute: str) -> Counter[object]:
    """Return how often each value of an attribute occurs."""
    return Counter(getattr(thing, attribute) for thing in scene.objects)


def test_scenes_have_two_to_four_objects_in_different_cells() -> None:
    assert {len(scene.objects) for scene in SCENES} == {2, 3, 4}
    for scene in SCENES:
        assert len({(thing.row, thing.column) for thing in scene.objects}) == len(scene.objects)


def test_objects_stay_on_the_canvas_and_apart() -> None:
    for scene in SCENES:
        for thing in scene.objects:
            radius = RADIUS[thing.size]
            assert radius <= min(thing.x, thing.y)
            assert max(thing.x, thing.y) <= CANVAS - radius
        for first, second in combinations(scene.objects, 2):
            gap = max(abs(first.x - second.x), abs(first.y - second.y))
            assert gap >= RADIUS[first.size] + RADIUS[second.size]


def test_all_attributes_occur_and_some_scenes_hold_doubles() -> None:
    seen = [thing for scene in SCENES for thing in scene.objects]
    assert {thing.shape for thing in seen} == set(scene_graph.SHAPES)
    assert {thing.color for thing in seen} == set(scene_graph.COLORS)
    assert {thing.size for thing in seen} == set(scene_graph.SIZES)
    assert {thing.material for thing in seen} == set(scene_graph.MATERIALS)
    doubles = sum(len({thing.look for thing in s.objects}) < len(s.objects) for s in SCENES)
    assert 50 < doubles < 110


@pytest.mark.parametrize("position", range(5))
def test_an_exchange_changes_one_binding_and_no_tally(position: int) -> None:
    change = scene_graph.CHANGES[position]
    attribute = ("color", "shape", "size", "material", "column")[position]
    changed_any = False
    for stream, scene in enumerate(SCENES[:60]):
        changed = change(Draws(12, stream), scene.objects)
        others = {"color", "shape", "size", "material", "column", "row", "x", "y"} - {attribute}
        others -= {"row", "x", "y"} if attribute == "column" else set()
        different = [(a, b) for a, b in zip(scene.objects, changed, strict=True) if a != b]
        assert len(different) in (0, 2)
        assert all(getattr(a, name) == getattr(b, name) for a, b in different for name in others)
        for name in ("color", "shape", "size", "material", "column", "row"):
            assert values(scene, name) == values(Scene(changed, 0, 0), name)
        changed_any |= bool(different)
    assert changed_any


def test_a_recount_removes_one_object_or_doubles_one() -> None:
    for stream, scene in enumerate(SCENES[:60]):
        changed = scene_graph.CHANGES[5](Draws(13, stream), scene.objects)
        if len(scene.objects) > 2:
            assert len(changed) == len(scene.objects) - 1
            assert set(changed) < set(scene.objects)
        else:
            assert changed[:2] == scene.objects
            assert changed[2].look in {thing.look for thing in scene.objects}
            assert len({(thing.row, thing.column) for thing in changed}) == 3


def test_a_negative_means_something_else_and_keeps_the_rest() -> None:
    made = 0
    for stream, scene in enumerate(SCENES):
        negative = draw_negative(Draws(14, stream), scene)
        if negative is not None:
            made += 1
            assert negative.key != scene.key
            assert (negative.background, negative.family) == (scene.background, scene.family)
    assert made > 200


def test_an_exchange_between_look_alikes_is_no_negative() -> None:
    ball = SceneObject("ball", "red", "small", "matte", 0, 0, 160, 160)
    twin = SceneObject("ball", "red", "small", "matte", 1, 0, 480, 160)
    scene = Scene((ball, twin), 50, 0)
    drawn = [draw_negative(Draws(15, stream), scene) for stream in range(40)]
    assert {len(negative.objects) for negative in drawn if negative} == {3}
    assert None in drawn


def test_the_key_ignores_jitter_background_and_order() -> None:
    ball = SceneObject("ball", "red", "small", "matte", 0, 0, 160, 160)
    cube = SceneObject("cube", "red", "small", "matte", 1, 0, 480, 160)
    moved = SceneObject("ball", "red", "small", "matte", 0, 0, 170, 150)
    assert Scene((ball, cube), 50, 0).key == Scene((cube, moved), 60, 1).key
    assert Scene((ball, cube), 50, 0).key != Scene((ball,), 50, 0).key
