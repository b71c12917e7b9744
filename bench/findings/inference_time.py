"""C3: whether COOKIE takes 3/1000 of the single-stream's inference time."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.findings.sections import View
from bench.findings.verdicts import CERTAIN, Effect, Outcome, Verdict, unknown
from bench.layout import duration, significant
from bench.systems import compiled_name, systems

CLAIMED_PER_MILLE = 3.0
"""The ICCV abstract's 3/1000 of the one-stream inference time."""
COMPARED = ("cookie", "single_stream")
"""The systems of the claim; of each there may be a compiled row."""
REPEATS = "range over repeats"
DRIFT = (
    "; the two were timed one after the other and not in turns, so what the machine drifts by from "
    "one to the other is not in the range"
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A full evaluation's time in per mille of another's. Attributes: bounds: what they are."""

    value: float
    low: float
    high: float
    bounds: str


def per_mille(evaluation: Mapping[str, Any], reference: Mapping[str, Any]) -> Ratio:
    """Return the ratio of two full evaluations, one measured after the other.

    The range is worst repeat against best; the machine's drift from one to the other is not in it.
    """
    ours, theirs = evaluation["repeats"], reference["repeats"]
    return Ratio(
        1000 * evaluation["seconds"] / reference["seconds"],
        1000 * min(ours) / max(theirs),
        1000 * max(ours) / min(theirs),
        REPEATS,
    )


def per_mille_of_rounds(evaluation: Mapping[str, Any], reference: Mapping[str, Any]) -> Ratio:
    """Return the median of the ratios of rounds in which both took their turn.

    With the interval of that median; with the range of too few rounds to have one.
    """
    from bench.measure.percentiles import rank_interval  # scipy takes a second to import

    pairs = zip(evaluation["repeats"], reference["repeats"], strict=True)
    ratios = [1000 * ours / theirs for ours, theirs in pairs]
    value, rounds = statistics.median(ratios), f"over {len(ratios)} rounds in turns"
    interval = rank_interval(ratios)
    if interval is None:
        return Ratio(value, min(ratios), max(ratios), f"range {rounds}")
    return Ratio(value, interval.low, interval.high, f"{CERTAIN} {rounds}")


def in_turns(view: View) -> Mapping[str, Mapping[str, Any]]:
    """Return the full evaluations that were timed in turns, by system; none without both sides."""
    record = view.evaluations
    found = {} if record is None else record.values["systems"]
    sides = [{name, compiled_name(name)} & found.keys() for name in COMPARED]
    return found if all(sides) else {}


def faster(view: View) -> Verdict:
    """C3: COOKIE's full evaluation takes 3/1000 of the single-stream's time, each at its best."""
    claim = "C3 (3/1000 of the one-stream inference time)"
    full, reference = (fastest(view, name) for name in COMPARED)
    if full is None or reference is None:
        return unknown(claim, "records of the speed of cookie and single_stream")
    ratio = _compare(view, full, reference)
    outcome: Outcome = "undecided"
    if ratio.high <= CLAIMED_PER_MILLE:
        outcome = "holds"
    elif ratio.low > CLAIMED_PER_MILLE:
        outcome = "does not hold"
    parts = (
        _times(full, reference, ratio),
        _as_written(view, (full, reference)),
        _by_gallery(full.evaluation, reference.evaluation),
        _queries(view, full.name, reference.name),
    )
    effect = Effect(ratio.value, "per mille", ratio.low, ratio.high, ratio.bounds, signed=False)
    return Verdict(claim, outcome, f"{''.join(parts)}.", effect)


class Evaluated(NamedTuple):
    """A system's full evaluation. Attributes: name: of the system. evaluation: as recorded."""

    name: str
    evaluation: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The system, as tables print it."""
        return systems[self.name].label

    @property
    def compiled(self) -> bool:
        """Whether it was measured compiled."""
        return systems[self.name].compiled


def fastest(view: View, name: str) -> Evaluated | None:
    """Return the full evaluation of a system, compiled where that was measured and is faster.

    Of those timed in turns where a section has them, so that two systems can be compared.
    """
    measured = [one for each in (name, compiled_name(name)) if (one := _evaluated(view, each))]
    return min(measured, key=lambda one: float(one.evaluation["seconds"]), default=None)


def _evaluated(view: View, name: str) -> Evaluated | None:
    together = in_turns(view)
    if together:
        return Evaluated(name, together[name]) if name in together else None
    record = view.one("efficiency", name)
    return None if record is None else Evaluated(name, record.values["full_evaluation"])


def _compare(view: View, ours: Evaluated, theirs: Evaluated) -> Ratio:
    relate = per_mille_of_rounds if in_turns(view) else per_mille
    return relate(ours.evaluation, theirs.evaluation)


def _times(full: Evaluated, reference: Evaluated, ratio: Ratio) -> str:
    ours, theirs = full.evaluation, reference.evaluation
    extrapolated = " (extrapolated from measured pairs/s)" if theirs["extrapolated"] else ""
    drift = DRIFT if ratio.bounds == REPEATS else ""
    names = (
        f"COOKIE{_way(full.name)} {duration(ours['seconds'])} and the "
        f"single-stream{_way(reference.name)} {duration(theirs['seconds'])}"
    )
    return (
        f"with {ours['images']:,} images and {ours['captions']:,} captions the full evaluation "
        f"takes {names}{extrapolated}, {significant(ratio.value)} per mille "
        f"({ratio.bounds} {significant(ratio.low)} to {significant(ratio.high)}{drift})"
    )


def _way(name: str) -> str:
    return " (compiled)" if systems[name].compiled else ""


def _as_written(view: View, judged: tuple[Evaluated, Evaluated]) -> str:
    """Return the ratio of the two that are not compiled, where it is another than the judged."""
    ours, theirs = (_evaluated(view, name) for name in COMPARED)
    if not (ours and theirs and any(systems[one.name].compiled for one in judged)):
        return ""
    ratio = _compare(view, ours, theirs)
    return (
        f"; neither compiled, {significant(ratio.value)} per mille ({significant(ratio.low)} to "
        f"{significant(ratio.high)})"
    )


def _by_gallery(full: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    """The ratio depends on the gallery: pairs grow with its square, encoding linearly."""
    size = gallery_for(CLAIMED_PER_MILLE, full, reference)
    if size is None:
        return ""
    return (
        f"; by the measured rates it would be {CLAIMED_PER_MILLE:g} per mille at about "
        f"{significant(size)} images"
    )


def gallery_for(
    target: float, full: Mapping[str, Any], reference: Mapping[str, Any]
) -> float | None:
    """Return the number of images at which the ratio is ``target`` per mille, None if nowhere.

    Both times are a linear part (encoding, preparing) plus a square one (ranking, pairs):
    a + b n = t (c + d n) per image, with n the number of images and t the target share.
    """
    share, images = target / 1000, full["images"]
    linear, square = _growth(full, images)
    linear_reference, square_reference = _growth(reference, images)
    slope = share * square_reference - square
    size = (linear - share * linear_reference) / slope if slope > 0 else -1.0
    return size if size >= 1 else None


def per_mille_at(images: float, full: Mapping[str, Any], reference: Mapping[str, Any]) -> float:
    """Return the ratio in per mille at another number of images, by the same two parts a time.

    The number of captions an image stays what it is in the measured test split.
    """
    linear, square = _growth(full, full["images"])
    linear_reference, square_reference = _growth(reference, full["images"])
    return 1000 * (linear + square * images) / (linear_reference + square_reference * images)


def _growth(evaluation: Mapping[str, Any], images: int) -> tuple[float, float]:
    parts = evaluation["parts"]
    return parts["encoding"] / images, parts["ranking"] / images**2


def _queries(view: View, *names: str) -> str:
    """The same question for a single text query against the gallery, from the paired rounds."""
    record = view.latency
    if record is None:
        return ""
    values = record.values["systems"]
    if not set(names) <= values.keys():
        return ""
    ours, theirs = (values[name]["p50"] for name in names)
    return (
        f"; one text query against {record.values['gallery']:,} prepared images takes "
        f"{duration(ours)} and {duration(theirs)}, {significant(1000 * ours / theirs)} per mille"
    )
