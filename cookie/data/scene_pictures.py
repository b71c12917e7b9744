"""Scenes as pixels: integer arithmetic alone, so every machine draws the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cookie.data.scene_graph import CANVAS, RADIUS, Scene, SceneObject

Grid: TypeAlias = NDArray[np.int64]
"""(h, w) integers at the sample points of a patch: coordinates, or a brightness in percent."""

SUPERSAMPLING = 4
PALETTE = {
    "red": (215, 40, 40),
    "green": (50, 165, 60),
    "blue": (45, 85, 225),
    "yellow": (240, 215, 50),
    "purple": (150, 60, 190),
    "orange": (240, 135, 30),
    "white": (240, 240, 240),
    "turquoise": (60, 205, 205),
}


def render(scene: Scene, size: int) -> NDArray[np.uint8]:
    """Return the picture (size, size, 3) of ``scene``, RGB.

    Each pixel is the mean of ``SUPERSAMPLING`` squared samples.
    """
    samples = size * SUPERSAMPLING
    canvas = np.full((samples, samples, 3), scene.background, dtype=np.int64)
    for thing in scene.objects:
        _paint(canvas, thing)
    blocks = canvas.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING, 3).sum(axis=(1, 3))
    area = SUPERSAMPLING * SUPERSAMPLING
    picture: NDArray[np.uint8] = ((blocks + area // 2) // area).astype(np.uint8)
    return picture


def _paint(canvas: Grid, thing: SceneObject) -> None:
    """Paint one object over ``canvas`` (samples, samples, 3)."""
    samples = len(canvas)
    radius = RADIUS[thing.size]
    xs, ys = (_span(center, radius, samples) for center in (thing.x, thing.y))
    x, y = (_units(span, samples) for span in (xs, ys))
    right, down = np.broadcast_arrays((x - thing.x)[None, :], (y - thing.y)[:, None])
    percent = SHAPE_PAINTERS[thing.shape](right, down, radius)  # 0 outside
    light, gloss = MATERIAL_PAINTERS[thing.material](right, down, radius)
    color = np.array(PALETTE[thing.color])[None, None, :] * (percent * light)[..., None] // 10_000
    color = np.minimum(color, 255)
    color = color + (255 - color) * gloss[..., None] // 100
    patch = canvas[ys.start : ys.stop, xs.start : xs.stop]
    patch[percent > 0] = color[percent > 0]


def _span(center: int, radius: int, samples: int) -> range:
    """Return the sample indices that lie within ``radius`` units of ``center``."""
    first = (center - radius) * samples // CANVAS
    last = (center + radius) * samples // CANVAS + 1
    return range(max(first, 0), min(last + 1, samples))


def _units(span: range, samples: int) -> Grid:
    """Return the canvas coordinate at the middle of each sample."""
    return (2 * np.arange(span.start, span.stop, dtype=np.int64) + 1) * CANVAS // (2 * samples)


def _cube(right: Grid, down: Grid, radius: int) -> Grid:
    """A box seen from the upper right: front, lighter top, darker side."""
    depth = radius * 2 // 5
    front = (right >= -radius) & (right <= radius - depth)
    front &= (down >= depth - radius) & (down <= radius)
    rise = depth - radius - down  # height above the front's upper edge
    top = (rise > 0) & (rise <= depth) & (right >= rise - radius) & (right <= radius - depth + rise)
    out = right - (radius - depth)  # distance beyond the front's right edge
    side = (out > 0) & (out <= depth) & (down >= depth - radius - out) & (down <= radius - out)
    return np.select([front, top, side], [100, 130, 65], 0)


def _ball(right: Grid, down: Grid, radius: int) -> Grid:
    return np.where(right * right + down * down <= radius * radius, 100, 0)


def _cone(right: Grid, down: Grid, radius: int) -> Grid:
    """A triangle on the lower half of a flat ellipse, its right half in shade."""
    foot = radius * 3 // 5
    tall = foot + radius
    sides = (down <= foot) & (np.abs(right) * tall <= (down + radius) * (radius * 9 // 10))
    wide, flat = radius * 9 // 10, radius * 2 // 5
    base = (right * flat) ** 2 + ((down - foot) * wide) ** 2 <= (wide * flat) ** 2
    inside = sides | (base & (down > foot))
    return np.where(inside, np.where(right > radius // 8, 75, 105), 0)


def _ring(right: Grid, down: Grid, radius: int) -> Grid:
    distance = right * right + down * down
    return np.where((distance <= radius * radius) & (4 * distance >= radius * radius), 100, 0)


def _cross(right: Grid, down: Grid, radius: int) -> Grid:
    arm = radius * 3 // 8
    inside = (np.abs(right) <= arm) | (np.abs(down) <= arm)
    return np.where(inside & (np.abs(right) <= radius) & (np.abs(down) <= radius), 100, 0)


def _diamond(right: Grid, down: Grid, radius: int) -> Grid:
    return np.where(np.abs(right) + np.abs(down) <= radius, 100, 0)


def _matte(right: Grid, down: Grid, radius: int) -> tuple[Grid, Grid]:
    return np.full_like(right, 100), np.zeros_like(right)


def _striped(right: Grid, down: Grid, radius: int) -> tuple[Grid, Grid]:
    """Dark diagonal bands."""
    band = (right + down + 4 * radius) // (radius * 2 // 5)
    return np.where(band % 2 == 0, 100, 30), np.zeros_like(right)


def _shiny(right: Grid, down: Grid, radius: int) -> tuple[Grid, Grid]:
    """Light falls off to the lower right, with a white gleam at the upper left."""
    light = 95 - (right + down) * 40 // radius
    gleam_x, gleam_y = right + radius * 3 // 10, down + radius * 3 // 10
    near = gleam_x * gleam_x + gleam_y * gleam_y
    return np.clip(light, 40, 130), np.where(near * 10 <= radius * radius, 85, 0)


SHAPE_PAINTERS: dict[str, Callable[[Grid, Grid, int], Grid]] = {
    "cube": _cube,
    "ball": _ball,
    "cone": _cone,
    "ring": _ring,
    "cross": _cross,
    "diamond": _diamond,
}
MATERIAL_PAINTERS: dict[str, Callable[[Grid, Grid, int], tuple[Grid, Grid]]] = {
    "matte": _matte,
    "striped": _striped,
    "shiny": _shiny,
}
