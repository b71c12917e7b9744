"""Captions are true, as an independent reader judges, and say enough."""

import numpy as np
import pytest

from cookie.data.draws import Draws
from cookie.data.scene_captions import RELATIONS, SYNONYMS, Mention, describe, relations
from cookie.data.scene_graph import Scene, SceneObject, draw_scene
from cookie.data.scenes import SceneCounts, generate_scenes
from tests.cookie.data.scene_reader import is_true

BALL = SceneObject("ball", "blue", "small", "matte", 2, 0, 800, 160)
CUBE = SceneObject("cube", "red", "large", "striped", 0, 0, 160, 160)
SCENE = Scene((CUBE, BALL), 50, 0)


@pytest.mark.parametrize(
    ("caption", "true"),
    [
        ("a red cube left of a blue ball", True),
        ("a blue cube left of a red ball", False),
        ("there is a red block to the left of a tiny sphere", True),
        ("right of a large red cube is a blue ball", True),
        ("right of a large red ball is a blue cube", False),
        ("a ball is above a cube", False),
        ("a ball, a cube and a cone", False),
        ("a cube and a ball, and nothing else", True),
        ("a cube, and nothing else", False),
        ("two cubes", False),
        ("a striped cube and a dull ball, but nothing green", True),
        ("a striped cube and a dull ball, but nothing red", False),
        ("a cube and a ball, but no ring", True),
        ("a cube and a ball, but no sphere", False),
        ("two things in total, exactly one of them red, exactly one ball", True),
        ("two things in total, all of them small", False),
        ("three things in total, exactly one of them red", False),
    ],
)
def test_the_reader_itself_reads_right(caption: str, true: bool) -> None:
    assert is_true(caption, SCENE) == true


@pytest.mark.parametrize(
    "caption", ["a pretty cube", "an red cube", "a cube beside a ball", "cube"]
)
def test_the_reader_refuses_what_it_does_not_understand(caption: str) -> None:
    with pytest.raises((KeyError, ValueError, AssertionError)):
        is_true(caption, SCENE)


def test_every_caption_is_true_of_its_picture() -> None:
    for stream in range(400):
        scene = draw_scene(Draws(21, stream), 0)
        for caption in describe(Draws(22, stream), scene):
            assert is_true(caption, scene), (caption, scene)


def test_captions_find_their_picture_among_hard_negatives() -> None:
    """A perfect reader has much to gain and cannot get everything right: no ceiling, no floor."""
    split = generate_scenes(SceneCounts(0, 0, 100)).split("test")
    assert split.scenes is not None
    fitting = [sum(is_true(text, scene) for scene in split.scenes) for text in split.captions]
    share = (1 / np.array(fitting)).reshape(-1, 5).mean(axis=0)  # by kind of caption
    assert share[:4].min() > 0.65
    assert share[4] < 0.6


def test_every_paraphrase_occurs() -> None:
    split = generate_scenes(SceneCounts(0, 0, 300)).split("test")
    text = " ".join(split.captions)
    phrases = [form for forms in (*RELATIONS.values(), *SYNONYMS.values()) for form in forms]
    openings = ["there is", "we see", "a picture of", "this image shows", "look at"]
    extras = ["but no ", "but nothing ", "and nothing else", "in total", "on a gray background"]
    assert [phrase for phrase in (*phrases, *openings, *extras) if phrase not in text] == []


def test_captions_of_a_picture_are_five_different_ones() -> None:
    for stream in range(50):
        captions = describe(Draws(23, stream), draw_scene(Draws(24, stream), 0))
        assert len(set(captions)) == 5


@pytest.mark.parametrize(
    ("mention", "count", "text"),
    [
        (Mention(("red",), "cube"), 1, "a red cube"),
        (Mention(("orange",), "cube"), 1, "an orange cube"),
        (Mention(("tiny", "red"), "cross"), 2, "two tiny red crosses"),
        (Mention((), "rhombus"), 3, "three rhombuses"),
        (Mention(("blue",), "hoop"), 4, "four blue hoops"),
    ],
)
def test_noun_phrases(mention: Mention, count: int, text: str) -> None:
    assert mention.text(count) == text


def test_relations_are_mirrored() -> None:
    assert relations(CUBE, BALL) == ["left"]
    assert relations(BALL, CUBE) == ["right"]
    low = SceneObject("cone", "red", "large", "shiny", 1, 2, 480, 800)
    assert relations(CUBE, low) == ["left", "above"]
    assert relations(low, CUBE) == ["right", "below"]
