"""Scenes as pixels: integer arithmetic alone, so every machine draws the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cookie.data.scene_graph import CANVAS, RADIUS, Scene, SceneObject

Grid: TypeAlias = NDArray[np.int64]
"""(h, w) integers at the sample points of a patch: coordinates, or a brightness in percent."""

SUPERSAMPLING = 3
"""Samples along each side of a pixel."""
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
    """Return the picture (size, size, 3) of ``scene``, RGB, smooth at the edges."""
    canvas = np.full((size, size, 3), scene.background, dtype=np.int64)
    for thing in scene.objects:
        _paint(canvas, thing)
    return canvas.astype(np.uint8)


def _paint(canvas: Grid, thing: SceneObject) -> None:
    """Paint one object over ``canvas`` (size, size, 3), each pixel by its covered share."""
    size, radius = len(canvas), RADIUS[thing.size]
    columns, rows = (_pixels(center, radius, size) for center in (thing.x, thing.y))
    right = (_units(columns, size) - thing.x)[None, :]
    down = (_units(rows, size) - thing.y)[:, None]
    right, down = np.broadcast_arrays(right, down)
    color, inside = _colors(thing, right, down, radius)
    color, covered = _block_sums(color), _block_sums(inside[..., None])
    patch = canvas[rows.start : rows.stop, columns.start : columns.stop]
    samples = SUPERSAMPLING * SUPERSAMPLING
    patch[...] = (patch * (samples - covered) + color + samples // 2) // samples


def _colors(
    thing: SceneObject, right: Grid, down: Grid, radius: int
) -> tuple[Grid, NDArray[np.bool_]]:
    """Return RGB (h, w, 3), 0 outside the object, and what is inside (h, w)."""
    percent = SHAPE_PAINTERS[thing.shape](right, down, radius)  # 0 outside
    light, gloss = MATERIAL_PAINTERS[thing.material](right, down, radius)
    color = np.array(PALETTE[thing.color]) * (percent * light)[..., None] // 10_000
    color = np.minimum(color, 255)
    color += (255 - color) * gloss[..., None] // 100
    inside = percent > 0
    return color * inside[..., None], inside


def _pixels(center: int, radius: int, size: int) -> range:
    """Return the pixels of an axis that lie within ``radius`` units of ``center``."""
    first, last = (center - radius) * size // CANVAS, (center + radius) * size // CANVAS
    return range(max(first, 0), min(last + 1, size))


def _units(pixels: range, size: int) -> Grid:
    """Return the canvas coordinate at the middle of each sample of ``pixels``."""
    samples = np.arange(SUPERSAMPLING * pixels.start, SUPERSAMPLING * pixels.stop, dtype=np.int64)
    return (2 * samples + 1) * CANVAS // (2 * size * SUPERSAMPLING)


def _block_sums(samples: NDArray[np.int64] | NDArray[np.bool_]) -> Grid:
    """Return (h, w, C), the sum over the samples (h * step, w * step, C) of each pixel."""
    height, width, channels = samples.shape
    step = SUPERSAMPLING
    blocks = samples.reshape(height // step, step, width // step, step, channels)
    sums: Grid = blocks.sum(axis=(1, 3), dtype=np.int64)
    return sums


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
    """Diagonal bands, every third dark: enough stay bright to show shape and color."""
    band = (right + down + 4 * radius) // (radius // 4)
    return np.where(band % 3 == 0, 25, 100), np.zeros_like(right)


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
