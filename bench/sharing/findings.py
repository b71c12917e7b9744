"""What the gaps along an axis say in words, nothing included, and what would prove them wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.ablation.sharing_points import Axis
from bench.findings.seed_contrasts import WANTED_SEEDS
from bench.findings.verdicts import Finding
from bench.layout import spread
from bench.sharing.gaps import AXES, QUESTIONS, Gap, trend

if TYPE_CHECKING:
    from bench.findings.sections import View


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
    parts = [_answer(found), _doubted(found), _unclear(found), _trend(view, found), _seeds(found)]
    said = "; ".join(part for part in parts if part)
    return Finding(
        f"{question.subject} by {AXES[axis]}", f"{question.gap}: {said}. {_wrong(found)}"
    )


def _answer(found: Sequence[Gap]) -> str:
    """Return where it pays and where it costs, with the numbers, or that it does neither."""
    if all(len(gap.found.seeds) == 1 for gap in found):
        return (
            "nothing is decided, since with one seed the spread between trainings is not known "
            f"({WANTED_SEEDS} are wanted)"
        )
    ways = [
        f"it {way} at {_listed([f'{gap.at} ({_numbers(gap)})' for gap in clear])}"
        for sign, way in ((1, "pays"), (-1, "costs"))
        if (clear := [gap for gap in found if gap.sign == sign])
    ]
    nothing = "nothing was told" if any(map(_in_doubt, found)) else "nothing was found"
    return " and ".join(ways) or f"{nothing}, it neither pays nor costs at any point"


def _numbers(gap: Gap) -> str:
    return (
        spread(gap.found.difference.value, *gap.found.bounds, "+").replace(" (", ", ").rstrip(")")
    )


def _doubted(found: Sequence[Gap]) -> str:
    """Return where the images tell a difference that the seeds do not, too few or only one."""
    shown = [f"{gap.at} ({_numbers(gap)}, {gap.found.doubt})" for gap in found if _in_doubt(gap)]
    return f"the images tell a difference, but not the seeds, at {_listed(shown)}" if shown else ""


def _in_doubt(gap: Gap) -> bool:
    return not gap.sign and gap.found.difference.significant


def _unclear(found: Sequence[Gap]) -> str:
    """Return where no difference can be told, and the smallest that would have shown there."""
    unclear = [gap for gap in found if not gap.sign and not _in_doubt(gap)]
    shown = [f"{gap.at} ({_detectable(gap)})" for gap in unclear]
    if not shown:
        return ""
    return (
        f"no difference can be told at {_listed(shown)}, in brackets the smallest difference that "
        "this could have shown"
    )


def _detectable(gap: Gap) -> str:
    least = gap.found.detectable
    if not least:
        return "the same answers throughout"
    return f"{least:.1f}" if len(gap.found.seeds) > 1 else f"{least:.1f} if trainings did not vary"


def _trend(view: View, found: Sequence[Gap]) -> str:
    """Return whether the gap grows or shrinks from the first point to the last."""
    first, last = found[0], found[-1]
    if first is last:
        return ""
    item = trend(view, first, last)
    if item is None:
        return f"{first.at} and {last.at} share no seed, so they cannot be compared"
    numbers = spread(item.difference.value, *item.bounds, "+")
    way = f"from {first.at} to {last.at} the gap changes by {numbers}"
    if item.doubt == "one seed":
        return f"{way} with the one seed that both have, and from one seed no change is told"
    if item.sign:
        return f"{way}, so it {'grows' if item.sign > 0 else 'shrinks'}"
    seen = f", the smallest change that this could have shown is {item.detectable:.1f}"
    return f"{way}, no change that can be told{seen if item.detectable else ''}"


def _seeds(found: Sequence[Gap]) -> str:
    fewest = min(len(gap.found.seeds) for gap in found)
    if fewest == 1:
        return ""  # said already, or the page's table says it
    wanted = "" if fewest >= WANTED_SEEDS else f", {WANTED_SEEDS} are wanted"
    return f"{fewest} seeds{wanted}"


def _wrong(found: Sequence[Gap]) -> str:
    """Return which measurement would overturn what was said."""
    clear, unclear = ([gap.at for gap in found if bool(gap.sign) is told] for told in (True, False))
    ways = []
    if clear:
        ways.append(f"further seeds bring an interval at {_listed(clear)} to 0")
    if unclear:
        ways.append(
            "further seeds or test images bring both intervals to the same side of 0 at "
            f"{_listed(unclear)}"
        )
    return f"This is wrong if {', or if '.join(ways)}."


def _listed(parts: Sequence[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
