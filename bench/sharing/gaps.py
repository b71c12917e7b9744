"""How far COOKIE is ahead of what lacks its sharing, or its losses, at every point of an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.ablation.sharing_points import (
    BESIDE,
    OWN,
    REFERENCE,
    Axis,
    Point,
    Reach,
    bases,
    out_of_reach,
    points,
)
from bench.findings.seed_contrasts import Contrast, change, contrast
from bench.layout import counted

if TYPE_CHECKING:
    from bench.findings.sections import View

AXES: dict[Axis, str] = {"pairs": "training pairs", "depth": "depth", "steps": "training steps"}


@dataclass(frozen=True, slots=True)
class Question:
    """One gap that is followed along the axes at whose points the rival has systems.

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
    Question(
        "dual_stream",
        "COOKIE in place of the dual-stream",
        "COOKIE minus the linear dual-stream",
        "v",
    ),
    Question(
        "single_stream",
        "COOKIE in place of the single-stream",
        "COOKIE minus the single-stream",
        "D",
    ),
)


@dataclass(frozen=True, slots=True)
class Gap:
    """COOKIE's RSUM minus a rival's at one point.

    Attributes:
        pairs: that both were trained on. layers: above the encoders. steps: of training.
        passes: how often each pair was seen, on average. found: the comparison.
    """

    question: Question
    axis: Axis
    point: Point
    pairs: int
    layers: int
    steps: int
    passes: float
    found: Contrast

    @property
    def place(self) -> int:
        """Where the gap is on its axis: training pairs, layers or training steps."""
        return {"pairs": self.pairs, "depth": self.layers, "steps": self.steps}[self.axis]

    @property
    def at(self) -> str:
        """The place in words."""
        unit = {"pairs": "pair", "depth": "layer", "steps": "step"}[self.axis]
        return counted(self.place, unit)

    @property
    def sign(self) -> int:
        """1 or -1 where COOKIE is ahead or behind beyond images and seeds, else 0."""
        return self.found.sign


def all_gaps(view: View) -> dict[Axis, list[Gap]]:
    """Return the gaps that a section has records of: by question, ascending along each axis."""
    return {
        axis: [
            gap
            for question in QUESTIONS
            if question.rival in (*bases(axis), BESIDE)
            for gap in _along(view, question, axis)
        ]
        for axis in AXES
    }


def _along(view: View, question: Question, axis: Axis) -> list[Gap]:
    """Return the gaps of a question along an axis.

    By depth and steps there are none where all that is known is the preset's own number: the
    axis of pairs shows that as well.
    """
    own = view.newest.config["head"]["layers"]
    found = [_gap(view, question, axis, point) for point in points(axis, own)]
    known = [gap for gap in found if gap is not None]
    only_own = all(gap.point == OWN for gap in known)
    return [] if axis != "pairs" and only_own else known


def _gap(view: View, question: Question, axis: Axis, point: Point) -> Gap | None:
    found = contrast(view, point.system(REFERENCE), point.system(question.rival))
    if found is None:
        return None
    pairs, settings = training_pairs(view, point), view.newest.config
    steps = point.times * settings["train"]["steps"]
    passes = steps * settings["train"]["batch_size"] / pairs
    layers = point.layers or settings["head"]["layers"]
    return Gap(question, axis, point, pairs, layers, steps, passes, found)


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
