"""Similarity of scenes from their facts, against counting by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from cookie.data.scene_graph import Scene, SceneObject
from cookie.data.scene_similarity import facts, scene_similarity
from cookie.data.scenes import SceneCounts, generate_scenes


def thing(shape: str, color: str, column: int, row: int = 0) -> SceneObject:
    return SceneObject(shape, color, "large", "matte", column, row, 0, 0)


RED_CUBE, BLUE_BALL = thing("cube", "red", 0), thing("ball", "blue", 1)
SCENE = Scene((RED_CUBE, BLUE_BALL), 50, 0)


def test_facts_are_objects_attributes_and_places():
    assert Counter(facts(SCENE)) == Counter([
        "cube", ("cube", "red"), ("cube", "large"), ("cube", "matte"),
        "ball", ("ball", "blue"), ("ball", "large"), ("ball", "matte"),
        ("left of", ("red", "cube"), ("blue", "ball")),
    ])  # fmt: skip


def test_a_changed_place_costs_the_relation_and_a_changed_color_its_facts():
    exchanged = Scene((replace(RED_CUBE, column=1), replace(BLUE_BALL, column=0)), 50, 0)
    green = Scene((replace(RED_CUBE, color="green"), BLUE_BALL), 50, 0)
    found = scene_similarity([SCENE, exchanged, green, SCENE])
    assert found[0, 1] == pytest.approx(8 / 10)
    assert found[0, 2] == pytest.approx(7 / 11)
    assert found[0, 3] == 1


def test_what_is_there_twice_counts_twice():
    twice = Scene((RED_CUBE, replace(RED_CUBE, column=2)), 50, 0)
    once = Scene((RED_CUBE,), 50, 0)
    assert scene_similarity([once, twice])[0, 1] == pytest.approx(4 / 9)


def test_generated_scenes_against_counters():
    scenes = generate_scenes(SceneCounts(train=4, val=4, test=25)).split("test").scenes
    assert scenes is not None
    counted = [Counter(facts(scene)) for scene in scenes]
    slow = [[(a & b).total() / (a | b).total() for b in counted] for a in counted]
    found = scene_similarity(scenes)
    np.testing.assert_allclose(found, slow)
    families = np.array([scene.family for scene in scenes])
    same = (families[:, None] == families) & ~np.eye(len(scenes), dtype=bool)
    assert found[same].min() > found[families[:, None] != families].mean()
