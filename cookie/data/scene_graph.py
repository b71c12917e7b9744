"""What a generated image shows: objects with attributes in places, and hard negatives of it.

Coordinates are integers on a square canvas of ``CANVAS`` units whatever the resolution; x runs
to the right and y downward. Objects stand in different cells of a 3 by 3 grid, so "left of"
and "above" are never a matter of opinion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cookie.data.draws import Draws

SHAPES = ("cube", "ball", "cone", "ring", "cross", "diamond")
COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "turquoise")
SIZES = ("large", "small")
MATERIALS = ("matte", "striped", "shiny")

CANVAS = 960
CELL = CANVAS // 3
JITTER = 30
RADIUS = {"large": 130, "small": 80}


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object: what captions may say of it, and where it stands."""

    shape: str
    color: str
    size: str
    material: str
    column: int
    row: int
    x: int
    y: int

    @property
    def look(self) -> tuple[str, str, str, str]:
        """Everything but the place."""
        return self.shape, self.color, self.size, self.material


@dataclass(frozen=True, slots=True)
class Scene:
    """One image's content.

    Attributes:
        objects: two to four of them.
        background: gray level, 0..255; no caption depends on it.
        family: images of a split that share it differ in one binding, relation or count.
    """

    objects: tuple[SceneObject, ...]
    background: int
    family: int

    @property
    def key(self) -> tuple[tuple[tuple[str, str, str, str], int, int], ...]:
        """What the scene means; scenes with equal keys cannot be told apart by any caption."""
        return tuple(sorted((thing.look, thing.column, thing.row) for thing in self.objects))


def draw_scene(draws: Draws, family: int) -> Scene:
    """Return a random scene; every fourth has two objects that look the same."""
    count = 2 + draws.below(3)
    cells = draws.sample(range(9), count)
    objects = [_draw_object(draws, cell) for cell in cells]
    if draws.chance(1, 4):
        objects[1] = _dressed_as(objects[1], objects[0])
    return Scene(tuple(objects), 40 + draws.below(61), family)


def draw_negative(draws: Draws, scene: Scene) -> Scene | None:
    """Return ``scene`` with one binding, relation or count changed; None if the draw changed none.

    Background, jitter and everything else stay, so nothing but the change tells the two apart.
    """
    change = draws.choice(CHANGES)
    changed = replace(scene, objects=change(draws, scene.objects))
    return None if changed.key == scene.key else changed


def _draw_object(draws: Draws, cell: int) -> SceneObject:
    shape, color = draws.choice(SHAPES), draws.choice(COLORS)
    size, material = draws.choice(SIZES), draws.choice(MATERIALS)
    row, column = divmod(cell, 3)
    x, y = (
        CELL * place + CELL // 2 + draws.below(2 * JITTER + 1) - JITTER for place in (column, row)
    )
    return SceneObject(shape, color, size, material, column, row, x, y)


def _dressed_as(thing: SceneObject, model: SceneObject) -> SceneObject:
    shape, color, size, material = model.look
    return replace(thing, shape=shape, color=color, size=size, material=material)


Objects = tuple[SceneObject, ...]
Change = Callable[[Draws, Objects], Objects]


def _exchange(*names: str) -> Change:
    """Return the change that lets two objects exchange their attributes ``names``."""

    def change(draws: Draws, objects: Objects) -> Objects:
        first, second = draws.sample(range(len(objects)), 2)
        changed = list(objects)
        for index, other in ((first, second), (second, first)):
            values = {name: getattr(objects[other], name) for name in names}
            changed[index] = replace(objects[index], **values)
        return tuple(changed)

    return change


def _recount(draws: Draws, objects: Objects) -> Objects:
    """Remove an object where there are more than two, else add the double of one."""
    if len(objects) > 2:
        gone = draws.below(len(objects))
        return objects[:gone] + objects[gone + 1 :]
    taken = {3 * thing.row + thing.column for thing in objects}
    cell = draws.choice([cell for cell in range(9) if cell not in taken])
    return (*objects, _dressed_as(_draw_object(draws, cell), draws.choice(objects)))


CHANGES: tuple[Change, ...] = (
    _exchange("color"),
    _exchange("shape"),
    _exchange("size"),
    _exchange("material"),
    _exchange("column", "row", "x", "y"),
    _recount,
)
