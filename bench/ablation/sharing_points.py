"""Where it is asked whether sharing pays: other numbers of training pairs, depths, steps.

Each point has systems of its own: a row of the ablation, trained on a share of the pairs, with
another number of layers or for more steps, and otherwise unchanged. Points that are not there yet
are registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Literal, get_args

import bench.ablation.variants  # noqa: F401  the rows of the ablation register themselves
from bench.ablation import makings
from bench.plan import cells_of
from bench.systems import Settings, register, systems, unchanged

if TYPE_CHECKING:
    from bench.records import Cell

Axis = Literal["pairs", "depth", "steps"]
EVERY_AXIS: tuple[Axis, ...] = get_args(Axis)
REFERENCE = "cookie"
RIVALS = ("unshared_equal", "cookie_image_text")
"""What COOKIE is compared with at every point; all have the same training otherwise."""
BESIDE = "unshared"
"""A further rival, at those points where the ablation has it as well."""
BASELINES = ("dual_stream", "single_stream")
"""Rivals at other numbers of steps alone: what the common budget withholds, and from whom."""


@dataclass(frozen=True, slots=True)
class Point:
    """One place on an axis.

    Attributes:
        suffix: of the names of its systems, "" for the preset's own.
        share: of the training pairs; above 1 only where a data set can be made larger.
        layers: of what stands on the encoders, None for the preset's.
        times: the preset's number of steps.
    """

    suffix: str
    share: float = 1.0
    layers: int | None = None
    times: int = 1

    def system(self, base: str) -> str:
        """Return the name of a row of the ablation at this point."""
        return f"{base}_{self.suffix}" if self.suffix else base

    @property
    def label(self) -> str:
        """What tells the point's systems from those of the preset's own point."""
        if self.times > 1:
            return f"{self.times} times the steps"
        return f"{self.layers} layers" if self.layers else f"{self.share:.0%} of the pairs"

    @property
    def settings(self) -> Settings:
        """The preset's settings to those of the point."""
        if self.times > 1:
            return makings.longer(self.times)
        return makings.layers(self.layers) if self.layers else unchanged


OWN = Point("")
SHARES = (
    Point("tenth", 0.1),
    Point("quarter", 0.25),
    Point("half", 0.5),
    OWN,
    Point("4x", 4.0),
    Point("16x", 16.0),
)
DEPTHS = (OWN, Point("depth_2", layers=2), Point("depth_4", layers=4))
STEPS = (OWN, *(Point(f"steps_{times}", times=times) for times in (2, 4, 8)))
LONGER = tuple(point.system(base) for point in STEPS[1:] for base in (*BASELINES, REFERENCE))
"""The tables' own rows with more steps than the common budget."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What decides which shares can be trained on.

    Attributes:
        dataset: name. images: of its training split. batch_size: of a training step.
    """

    dataset: str
    images: int
    batch_size: int


def bases(axis: Axis) -> tuple[str, ...]:
    """Return the rows that have a system of their own at every point of an axis."""
    return (REFERENCE, *RIVALS, *(BASELINES if axis == "steps" else ()))


def points(axis: Axis, own: int) -> list[Point]:
    """Return the points of an axis, ascending; the preset's ``own`` number of layers is one."""
    if axis == "pairs":
        return list(SHARES)
    if axis == "steps":
        return list(STEPS)
    others = [point for point in DEPTHS if point.layers not in (None, own)]
    return sorted([OWN, *others], key=lambda point: point.layers or own)


def cells(seeds: Sequence[int], layers: int, reach: Reach, axes: Sequence[Axis]) -> list[Cell]:
    """Return the cells that the axes need within reach, by a preset of ``layers`` layers."""
    found = [(point, axis) for axis in axes for point in points(axis, layers)]
    names = [
        point.system(base)
        for point, axis in found
        if not out_of_reach(point, reach)
        for base in (*bases(axis), BESIDE)
    ]
    known = [name for name in dict.fromkeys(names) if name in systems]
    return cells_of(known, seeds, ("train", "accuracy"))


def out_of_reach(point: Point, reach: Reach) -> str:
    """Return why a point cannot be trained, "" where it can."""
    from cookie.data.catalog import can_grow  # Pillow takes a while to import

    if point.share > 1 and not can_grow(reach.dataset):
        return f"{reach.dataset} has no further training pairs"
    images = round(point.share * reach.images)
    if images < reach.batch_size:
        return f"{images} training images do not fill a batch of {reach.batch_size}"
    return ""


def left_out(reach: Reach) -> list[str]:
    """Return a sentence for every point that is out of reach."""
    reasons = [(point, out_of_reach(point, reach)) for point in SHARES]
    return [f"{point.label} is left out: {reason}." for point, reason in reasons if reason]


def _register(base: str, point: Point) -> None:
    row, name = systems[base], point.system(base)
    register(
        replace(
            row,
            name=name,
            label=f"{row.label}, {point.label}",
            parts=(name,),
            kinds=("train", "accuracy"),
            settings=makings.then(point.settings, row.settings),
            note="",
            variant=True,
            train_share=point.share,
        )
    )


_PLACES: dict[Axis, tuple[Point, ...]] = {"pairs": SHARES, "depth": DEPTHS, "steps": STEPS}
for _axis, _points in _PLACES.items():
    for _point, _base in product(_points, bases(_axis)):
        if _point.system(_base) not in systems:
            _register(_base, _point)
