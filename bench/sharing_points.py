"""Where it is asked whether sharing pays: other numbers of training pairs, other depths.

Each point has systems of its own: a row of the ablation, trained on a share of the pairs or with
another number of layers and otherwise unchanged. Points that are not there yet are registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench import makings
from bench.plan import cells_of
from bench.systems import System, register, systems
from bench.variants import VARIANTS

if TYPE_CHECKING:
    from bench.records import Cell

Axis = Literal["pairs", "depth"]
REFERENCE = "cookie"
RIVALS = ("unshared_equal", "cookie_image_text")
"""What COOKIE is compared with at every point; all have the same training otherwise."""
BESIDE = "unshared"
"""A further rival, at those points where the ablation has it as well."""
_BUDGET = "As many steps as the row of all pairs."


@dataclass(frozen=True, slots=True)
class Point:
    """One place on an axis.

    Attributes:
        suffix: of the names of its systems, "" for the preset's own.
        share: of the training pairs; above 1 only where a data set can be made larger.
        layers: of what stands on the encoders, None for the preset's.
    """

    suffix: str
    share: float = 1.0
    layers: int | None = None

    def system(self, base: str) -> str:
        """Return the name of a row of the ablation at this point."""
        return f"{base}_{self.suffix}" if self.suffix else base

    @property
    def label(self) -> str:
        """What tells the point's systems from those of the preset's own point."""
        return f"{self.layers} layers" if self.layers else f"{self.share:.0%} of the pairs"


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


@dataclass(frozen=True, slots=True)
class Reach:
    """What decides which shares can be trained on.

    Attributes:
        dataset: name. images: of its training split. batch_size: of a training step.
    """

    dataset: str
    images: int
    batch_size: int


def points(axis: Axis, own: int) -> list[Point]:
    """Return the points of an axis, ascending; the preset's ``own`` number of layers is one."""
    if axis == "pairs":
        return list(SHARES)
    others = [point for point in DEPTHS if point.layers not in (None, own)]
    return sorted([OWN, *others], key=lambda point: point.layers or own)


def cells(seeds: Sequence[int], layers: int, reach: Reach) -> list[Cell]:
    """Return the cells that both axes need within reach, by a preset of ``layers`` layers."""
    all_points = dict.fromkeys([*points("pairs", layers), *points("depth", layers)])
    reachable = [point for point in all_points if not out_of_reach(point, reach)]
    names = [point.system(base) for point in reachable for base in (REFERENCE, *RIVALS, BESIDE)]
    return cells_of([name for name in names if name in systems], seeds, ("train", "accuracy"))


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
    label = next(variant.label for variant in VARIANTS if variant.name == base)
    row, name = systems[base], point.system(base)
    deeper = makings.layers(point.layers) if point.layers else None
    register(
        System(
            name=name,
            label=f"{label}, {point.label}",
            family=row.family,
            build=row.build,
            parts=(name,),
            kinds=("train", "accuracy"),
            note="" if point.layers else _BUDGET,
            settings=makings.then(deeper, row.settings) if deeper else row.settings,
            variant=True,
            train_share=point.share,
        )
    )


for _point in (*SHARES, *DEPTHS):
    for _base in (REFERENCE, *RIVALS):
        if _point.system(_base) not in systems:
            _register(_base, _point)
