"""What the gaps along an axis say in words, nothing included, and what would prove them wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.layout import spread
from bench.seed_contrasts import WANTED_SEEDS, Contrast
from bench.sharing_gaps import AXES, QUESTIONS, Gap, trend
from bench.sharing_points import Axis
from bench.verdicts import Finding

if TYPE_CHECKING:
    from bench.sections import View


def findings(view: View, found: Mapping[Axis, Sequence[Gap]]) -> list[Finding]:
    """Return what a section's gaps say, by question and axis; without gaps nothing is said."""
    return [
        _finding(view, own)
        for question in QUESTIONS
        for axis in AXES
        if (own := [gap for gap in found[axis] if gap.question is question])
    ]


def _finding(view: View, found: Sequence[Gap]) -> Finding:
    question, axis = found[0].question, found[0].axis
    parts = [f"{question.gap}: {_conclusion(found)}", *map(_said, found)]
    parts += [_trend(view, found)] if len(found) > 1 else []
    return Finding(f"{question.subject} by {AXES[axis]}", f"{'; '.join(parts)}. {_wrong(found)}")


def _conclusion(found: Sequence[Gap]) -> str:
    """Return the answer in one clause: where it pays, where it costs, or nowhere."""
    if all(len(gap.found.seeds) == 1 for gap in found):
        return (
            "nothing is decided, since with one seed the spread between trainings is not known "
            f"({WANTED_SEEDS} are wanted)"
        )
    pays, costs = ([gap.at for gap in found if gap.sign == sign] for sign in (1, -1))
    said = [f"it pays at {_listed(pays)}"] if pays else []
    said += [f"it costs at {_listed(costs)}"] if costs else []
    return " and ".join(said) or "nothing was found, it neither pays nor costs at any point"


def _listed(places: Sequence[str]) -> str:
    *most, last = places
    return f"{', '.join(most)} and {last}" if most else last


def _said(gap: Gap) -> str:
    found, difference = gap.found, gap.found.difference
    numbers = f"{spread(difference.value, *found.bounds, '+')} RSUM"
    seeds = f"{len(found.seeds)} seed{'s' if len(found.seeds) > 1 else ''}"
    if gap.sign:
        return f"at {gap.at} {numbers}, {seeds}"
    return f"at {gap.at} no difference can be told, {numbers}, {seeds}, {_shown(found)}"


def _shown(found: Contrast) -> str:
    if not found.detectable:
        return "the same answers throughout"
    only = " if trainings did not vary" if len(found.seeds) == 1 else ""
    return f"the smallest difference this could have shown{only} is {found.detectable:.1f}"


def _trend(view: View, found: Sequence[Gap]) -> str:
    """Return whether the gap grows or shrinks from the first point to the last."""
    first, last = found[0], found[-1]
    item = trend(view, first, last)
    if item is None:
        return f"{first.at} and {last.at} share no seed, so they cannot be compared"
    numbers = spread(item.difference.value, *item.bounds, "+")
    way = f"from {first.at} to {last.at} the gap changes by {numbers}"
    if item.sign and len(item.seeds) > 1:
        return f"{way}, so it {'grows' if item.sign > 0 else 'shrinks'}"
    seen = f", the smallest change this could have shown is {item.detectable:.1f}"
    return f"{way}, no change that can be told{seen if item.detectable else ''}"


def _wrong(found: Sequence[Gap]) -> str:
    """Return which measurement would overturn what was said."""
    clear = [gap.at for gap in found if gap.sign]
    open_ = [gap for gap in found if not gap.sign]
    parts = []
    if clear:
        parts.append(
            f"what is said of {_listed(clear)} is wrong if with further seeds an interval "
            "there reaches 0"
        )
    if open_:
        parts.append(
            f"that none can be told at {_listed([gap.at for gap in open_])} is wrong if with "
            "further seeds or test images both intervals there leave out 0"
        )
    text = "; ".join(parts)
    return f"To prove it wrong: {text}."
