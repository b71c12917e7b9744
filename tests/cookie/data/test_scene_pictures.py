"""Pictures show what the scene says, to the byte."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from cookie.data.scene_graph import MATERIALS, SHAPES, Scene, SceneObject
from cookie.data.scene_pictures import PALETTE, render
from cookie.data.scenes import SceneCounts, generate_scenes

BALL = SceneObject("ball", "blue", "large", "matte", 1, 1, 480, 480)


def picture(*things: SceneObject, size: int = 64) -> np.ndarray:
    return render(Scene(things, 60, 0), size)


def test_the_bytes_are_the_same_on_every_machine() -> None:
    split = generate_scenes(SceneCounts(0, 0, 12)).split("test")
    for size, expected in (
        (32, "de97e6bc600d638b"),
        (64, "ede6af8ceb8c9ab7"),
        (100, "6ead9731ddfae482"),
    ):
        digest = hashlib.sha256()
        for index in range(12):
            digest.update(np.asarray(split.images.load(index, size)).tobytes())
        assert digest.hexdigest()[:16] == expected


@pytest.mark.parametrize("color", PALETTE)
def test_a_matte_ball_is_a_disc_of_its_color(color: str) -> None:
    pixels = picture(replace(BALL, color=color))
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8
    assert tuple(pixels[32, 32]) == PALETTE[color]
    y, x = np.mgrid[:64, :64] + 0.5
    distance = np.hypot(x - 32, y - 32) * 960 / 64
    assert (pixels[distance < 115] == PALETTE[color]).all()
    assert (pixels[distance > 145] == 60).all()


def test_edges_are_smooth() -> None:
    """The ball's area in shares of pixels is that of the circle; without smoothing it is not."""
    share = (picture(BALL)[..., 2].astype(float) - 60) / (PALETTE["blue"][2] - 60)
    assert share.sum() == pytest.approx(np.pi * (130 * 64 / 960) ** 2, rel=0.01)
    assert ((share > 0.1) & (share < 0.9)).sum() > 20


def test_a_small_ball_has_its_smaller_area() -> None:
    share = (picture(replace(BALL, size="small"))[..., 2].astype(float) - 60) / 165
    assert share.sum() == pytest.approx(np.pi * (80 * 64 / 960) ** 2, rel=0.02)


@pytest.mark.parametrize("size", ["large", "small"])
@pytest.mark.parametrize("pixels", [32, 64])
def test_every_shape_and_material_can_be_told_apart(size: str, pixels: int) -> None:
    drawn = {
        (shape, material): picture(
            replace(BALL, shape=shape, material=material, size=size), size=pixels
        ).astype(float)
        for shape in SHAPES
        for material in MATERIALS
    }
    names = list(drawn)
    for index, first in enumerate(names):
        for second in names[:index]:
            difference = np.abs(drawn[first] - drawn[second]).sum() / 255
            assert difference > 2, (first, second)


def test_objects_stand_where_they_are_said_to() -> None:
    for column in range(3):
        for row in range(3):
            x, y = 160 + 320 * column, 160 + 320 * row
            pixels = picture(replace(BALL, x=x, y=y)).astype(float)
            weight = np.abs(pixels - 60).sum(axis=2)
            grid = np.mgrid[:64, :64] + 0.5
            middle = (grid * weight).sum(axis=(1, 2)) / weight.sum()
            np.testing.assert_allclose(middle, (y / 15, x / 15), atol=0.1)


def test_neighbors_that_touch_do_not_erase_each_other() -> None:
    left = replace(BALL, shape="diamond", color="red", x=190, column=0)
    right = replace(BALL, shape="diamond", x=450)
    both = picture(left, right).astype(int)
    alone = [picture(thing).astype(int) - 60 for thing in (left, right)]
    assert np.abs(both - 60 - sum(alone)).max() <= 40  # only where edges share a pixel
    assert np.abs(both - 60 - sum(alone)).mean() < 0.05


def test_stripes_are_darker_and_gloss_has_a_gleam() -> None:
    matte, striped, shiny = (
        picture(replace(BALL, material=name)).astype(int) for name in ("matte", "striped", "shiny")
    )
    inside = matte[..., 2] == PALETTE["blue"][2]
    assert 0.5 < striped[inside].mean() / matte[inside].mean() < 0.9
    assert shiny[inside].min(axis=1).max() > 200  # nearly white
    assert (matte[inside] == PALETTE["blue"]).all()


def test_other_sizes_show_the_same_picture() -> None:
    coarse = picture(BALL, size=32).astype(float)
    fine = picture(BALL, size=128).reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(coarse - fine).max() < 16
