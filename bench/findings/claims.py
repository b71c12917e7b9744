"""The paper's claims, judged within one section: holds, does not hold, or undecided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.ablation.sharing_points import STEPS
from bench.ablation.variants import FINE_TUNED
from bench.findings.differences import Difference, compare
from bench.findings.sections import View
from bench.findings.seed_contrasts import Contrast, contrast
from bench.findings.verdicts import MARGIN, Effect, Outcome, Verdict, one_seed, unknown
from bench.layout import duration, significant, spread
from bench.systems import compiled_name, systems

CLAIMED_PER_MILLE = 3.0
"""The ICCV abstract's 3/1000 of the one-stream inference time."""


def verdicts(view: View) -> list[Verdict]:
    """Return the verdicts that the section's records allow, always all three."""
    return [beats_dual_stream(view), competitive_with_single_stream(view), faster(view)]


def beats_dual_stream(view: View) -> Verdict:
    """C1: COOKIE is more accurate than the plain dual-stream."""
    claim = "C1 (COOKIE beats the plain dual-stream)"
    difference = _difference(view, "cookie", "dual_stream")
    if difference is None:
        return unknown(claim, "records of cookie and dual_stream")
    outcome: Outcome = "undecided"
    if difference.significant:
        outcome = "holds" if difference.value > 0 else "does not hold"
    tail = "" if difference.significant else ", no difference"
    numbers = _numbers("COOKIE", "the dual-stream", difference)
    reason = f"{numbers}{tail}{_seeds(view)}{_otherwise(view, 'dual_stream')}."
    return Verdict(claim, outcome, reason, _effect(difference))


def competitive_with_single_stream(view: View) -> Verdict:
    """C2: COOKIE is at most :data:`MARGIN` RSUM points behind the single-stream."""
    claim = "C2 (COOKIE is competitive with the single-stream)"
    difference = _difference(view, "cookie", "single_stream")
    if difference is None:
        return unknown(claim, "records of cookie and single_stream")
    outcome: Outcome = "undecided"
    if difference.low > -MARGIN:
        outcome = "holds"
    elif difference.high < -MARGIN:
        outcome = "does not hold"
    numbers = _numbers("COOKIE", "the single-stream", difference)
    meaning = f"competitive means no more than {MARGIN:g} points behind"
    otherwise = _otherwise(view, "single_stream")
    return Verdict(
        claim, outcome, f"{numbers}; {meaning}{_seeds(view)}{otherwise}.", _effect(difference)
    )


def _effect(found: Difference) -> Effect:
    return Effect(found.value, "RSUM points", found.low, found.high, p_value=found.p_value)


def _difference(view: View, first: str, second: str) -> Difference | None:
    one, two = view.evidence(first), view.evidence(second)
    return compare(one, two) if one and two else None


def _numbers(first: str, second: str, difference: Difference) -> str:
    asked = difference.queries
    return (
        f"RSUM {difference.first:.1f} for {first} and {difference.second:.1f} for {second}, "
        f"a difference of {difference.value:+.1f} (95 % interval {difference.low:+.1f} to "
        f"{difference.high:+.1f}, p = {difference.p_value:.2g}, the same {asked['i2t']:,} image "
        f"and {asked['t2i']:,} text queries)"
    )


def _seeds(view: View) -> str:
    evidence = view.evidence("cookie")
    return "" if evidence is None else one_seed(len(evidence.seeds))


def _otherwise(view: View, rival: str) -> str:
    """Return what is left of the difference where both were trained otherwise; "" if not known."""
    trainings = {point.suffix: point.label for point in STEPS[1:]}
    trainings[FINE_TUNED] = "fine-tuned encoders"
    found = [
        (how, contrast(view, f"cookie_{suffix}", f"{rival}_{suffix}"))
        for suffix, how in trainings.items()
    ]
    gaps = [_gap(how, item) for how, item in found if item is not None]
    return f"; not judged: {', '.join(gaps)}" if gaps else ""


def _gap(how: str, found: Contrast) -> str:
    numbers, seeds = spread(found.difference.value, *found.bounds, "+"), len(found.seeds)
    return f"{numbers} with {how} and {seeds} seed{'s' if seeds > 1 else ''}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """COOKIE's full-evaluation time in per mille of the single-stream's, range over repeats."""

    value: float
    low: float
    high: float


def per_mille(evaluation: Mapping[str, Any], reference: Mapping[str, Any]) -> Ratio:
    """Return the ratio of two full evaluations; the range is worst repeat against best."""
    ours, theirs = evaluation["repeats"], reference["repeats"]
    return Ratio(
        1000 * evaluation["seconds"] / reference["seconds"],
        1000 * min(ours) / max(theirs),
        1000 * max(ours) / min(theirs),
    )


def faster(view: View) -> Verdict:
    """C3: COOKIE's full evaluation takes 3/1000 of the single-stream's time, each at its best."""
    claim = "C3 (3/1000 of the one-stream inference time)"
    full, reference = fastest(view, "cookie"), fastest(view, "single_stream")
    if full is None or reference is None:
        return unknown(claim, "records of the speed of cookie and single_stream")
    ratio = per_mille(full.evaluation, reference.evaluation)
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
    effect = Effect(
        ratio.value, "per mille", ratio.low, ratio.high, "range over repeats", signed=False
    )
    return Verdict(claim, outcome, f"{''.join(parts)}.", effect)


class Evaluated(NamedTuple):
    """A system's full evaluation. Attributes: name: of the system. evaluation: as recorded."""

    name: str
    evaluation: Mapping[str, Any]


def fastest(view: View, name: str) -> Evaluated | None:
    """Return the full evaluation of a system, compiled where that was measured and is faster."""
    found = [(each, view.one("efficiency", each)) for each in (name, compiled_name(name))]
    measured = [Evaluated(n, record.values["full_evaluation"]) for n, record in found if record]
    return min(measured, key=lambda one: float(one.evaluation["seconds"]), default=None)


def _times(full: Evaluated, reference: Evaluated, ratio: Ratio) -> str:
    ours, theirs = full.evaluation, reference.evaluation
    extrapolated = " (extrapolated from measured pairs/s)" if theirs["extrapolated"] else ""
    names = (
        f"COOKIE{_way(full.name)} {duration(ours['seconds'])} and the "
        f"single-stream{_way(reference.name)} {duration(theirs['seconds'])}"
    )
    return (
        f"with {ours['images']:,} images and {ours['captions']:,} captions the full evaluation "
        f"takes {names}{extrapolated}, {significant(ratio.value)} per mille "
        f"(range over repeats {significant(ratio.low)} to {significant(ratio.high)})"
    )


def _way(name: str) -> str:
    return " (compiled)" if systems[name].compiled else ""


def _as_written(view: View, judged: tuple[Evaluated, Evaluated]) -> str:
    """Return the ratio of the two that are not compiled, where it is another than the judged."""
    found = [view.one("efficiency", name) for name in ("cookie", "single_stream")]
    if None in found or not any(systems[one.name].compiled for one in judged):
        return ""
    ours, theirs = (one.values["full_evaluation"] for one in found if one is not None)
    ratio = per_mille(ours, theirs)
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
