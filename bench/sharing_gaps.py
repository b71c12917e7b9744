"""How far COOKIE is ahead of what lacks its sharing, or its losses, at every point of an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.seed_contrasts import Contrast, change, contrast
from bench.sharing_points import REFERENCE, Axis, Point, Reach, out_of_reach, points

if TYPE_CHECKING:
    from bench.sections import View

AXES: dict[Axis, str] = {"pairs": "training pairs", "depth": "depth"}


@dataclass(frozen=True, slots=True)
class Question:
    """One gap that is followed along both axes.

    Attributes:
        rival: row of the ablation that COOKIE is compared with. subject: what is asked after.
        gap: what is taken from what, in words. marker: matplotlib marker.
    """

    rival: str
    subject: str
    gap: str
    marker: str


QUESTIONS = (
    Question(
        "unshared_equal", "Sharing", "COOKIE minus unshared transformers of equal parameters", "o"
    ),
    Question(
        "cookie_image_text",
        "The two unimodal losses",
        "COOKIE minus the same with the image-text loss alone",
        "s",
    ),
    Question("unshared", "Sharing (equal depth)", "COOKIE minus unshared of equal depth", "^"),
)


@dataclass(frozen=True, slots=True)
class Gap:
    """COOKIE's RSUM minus a rival's at one point.

    Attributes:
        pairs: that both were trained on. passes: how often each of them was seen, on average.
        layers: above the encoders. found: the comparison.
    """

    question: Question
    axis: Axis
    point: Point
    pairs: int
    passes: float
    layers: int
    found: Contrast

    @property
    def place(self) -> int:
        """Where the gap is on its axis: training pairs, or layers."""
        return self.pairs if self.axis == "pairs" else self.layers

    @property
    def at(self) -> str:
        """The place in words."""
        if self.axis == "pairs":
            return f"{self.pairs:,} pairs"
        return f"{self.layers} layer{'s' if self.layers > 1 else ''}"

    @property
    def sign(self) -> int:
        """1 or -1 where COOKIE is ahead or behind beyond images and seeds; 0 with one seed."""
        return self.found.sign if len(self.found.seeds) > 1 else 0


def all_gaps(view: View) -> dict[Axis, list[Gap]]:
    """Return the gaps that a section has records of: by question, ascending along each axis."""
    own = view.newest.config["head"]["layers"]
    return {
        axis: [
            gap
            for question in QUESTIONS
            for point in points(axis, own)
            if (gap := _gap(view, question, axis, point)) is not None
        ]
        for axis in AXES
    }


def _gap(view: View, question: Question, axis: Axis, point: Point) -> Gap | None:
    found = contrast(view, point.system(REFERENCE), point.system(question.rival))
    if found is None:
        return None
    pairs, settings = training_pairs(view, point), view.newest.config
    passes = settings["train"]["steps"] * settings["train"]["batch_size"] / pairs
    layers = point.layers or settings["head"]["layers"]
    return Gap(question, axis, point, pairs, passes, layers, found)


def training_pairs(view: View, point: Point) -> int:
    """Return the captions that COOKIE is trained on at a point.

    As its training counted them; else as the data set counts them, times the share.
    """
    record = view.one("train", point.system(REFERENCE))
    counted: int | None = None if record is None else record.values.get("training_pairs")
    whole = view.newest.dataset_facts["splits"]["train"]["captions"]
    return round(point.share * whole) if counted is None else counted


def trend(view: View, first: Gap, last: Gap) -> Contrast | None:
    """Return how the gap differs at ``last`` from what it is at ``first``."""
    later, earlier = (
        (gap.point.system(REFERENCE), gap.point.system(gap.question.rival)) for gap in (last, first)
    )
    return change(view, later, earlier)


def absent(view: View, axis: Axis, found: Sequence[Gap]) -> list[tuple[Point, str]]:
    """Return the points of an axis without any of the gaps ``found``, each with the reason."""
    newest = view.newest
    images = newest.dataset_facts["splits"]["train"]["images"]
    reach = Reach(newest.stamp.dataset, images, newest.config["train"]["batch_size"])
    there = {gap.point for gap in found}
    missing = [
        point for point in points(axis, newest.config["head"]["layers"]) if point not in there
    ]
    return [
        (point, out_of_reach(point, reach) or "not trained and evaluated yet") for point in missing
    ]
