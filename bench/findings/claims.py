"""The claims judged within one section; C1 and C2 here: COOKIE's accuracy beside its rivals'."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.ablation.sharing_points import STEPS
from bench.ablation.variants import FINE_TUNED, UNREAD
from bench.findings.inference_time import faster
from bench.findings.sections import View
from bench.findings.seed_contrasts import Contrast, contrast, pooled_contrast
from bench.findings.sharing import sharing_aligns
from bench.findings.unimodal_claims import image_retrieval_improves, text_matching_improves
from bench.findings.verdicts import MARGIN, Effect, Outcome, Verdict, over, seeds_told, unknown
from bench.layout import counted, spread

RIVALS = {"dual_stream": "the dual-stream", "single_stream": "the single-stream"}


def verdicts(view: View) -> list[Verdict]:
    """Return the verdicts that the section's records allow, C1 to C3."""
    return [beats_dual_stream(view), competitive_with_single_stream(view), faster(view)]


def beats_dual_stream(view: View) -> Verdict:
    """C1: COOKIE is more accurate than the plain dual-stream."""
    claim = "C1 (COOKIE beats the plain dual-stream)"
    found = pooled_contrast(view, "cookie", "dual_stream")
    if found is None:
        return unknown(claim, f"records of cookie and dual_stream{_otherwise(view, 'dual_stream')}")
    low, high = found.bounds
    outcome: Outcome = "undecided"
    if low > 0 or high < 0:
        outcome = "holds" if low > 0 else "does not hold"
    tail = f", {found.doubt}" if outcome == "undecided" else ""
    return _verdict(view, claim, outcome, "dual_stream", found, tail)


def competitive_with_single_stream(view: View) -> Verdict:
    """C2: COOKIE is at most :data:`MARGIN` RSUM points behind the single-stream."""
    claim = "C2 (COOKIE is competitive with the single-stream)"
    found = pooled_contrast(view, "cookie", "single_stream")
    if found is None:
        return unknown(claim, "records of cookie and single_stream")
    low, high = found.bounds
    outcome: Outcome = "undecided"
    if low > -MARGIN:
        outcome = "holds"
    elif high < -MARGIN:
        outcome = "does not hold"
    meaning = f"; competitive means no more than {MARGIN:g} points behind"
    return _verdict(view, claim, outcome, "single_stream", found, meaning)


def _verdict(
    view: View, claim: str, outcome: Outcome, rival: str, found: Contrast, meaning: str
) -> Verdict:
    """Return the verdict on a difference in RSUM; ``meaning`` follows the numbers."""
    difference, (low, high) = found.difference, found.bounds
    asked, seeds = difference.queries, _seeds(view, rival)
    numbers = (
        f"RSUM {difference.first:.1f} for COOKIE and {difference.second:.1f} for {RIVALS[rival]}, "
        f"a difference of {difference.value:+.1f} (95 % interval {low:+.1f} to {high:+.1f} "
        f"{over(len(found.seeds))}, p = {found.p_value:.2g}, the "
        f"same {asked['i2t']:,} image and {asked['t2i']:,} text queries)"
    )
    told = "" if found.by_seed is not None else seeds_told(*seeds, RIVALS[rival])
    effect = Effect(
        difference.value, "RSUM points", low, high, p_value=found.p_value, seeds=min(seeds)
    )
    reason = f"{numbers}{meaning}{told}{_otherwise(view, rival)}."
    return Verdict(claim, outcome, reason, effect)


def _seeds(view: View, rival: str) -> tuple[int, int]:
    """Return the number of trainings of COOKIE and of ``rival``."""
    found = (view.evidence(name) for name in ("cookie", rival))
    ours, theirs = (0 if each is None else len(each.seeds) for each in found)
    return ours, theirs


def _otherwise(view: View, rival: str) -> str:
    """Return what is left of the difference where both were trained otherwise; "" if not known."""
    trainings = {point.suffix: point.label for point in STEPS[1:]}
    trainings |= {FINE_TUNED: "fine-tuned encoders", **UNREAD}
    found = [
        (how, contrast(view, f"cookie_{suffix}", f"{rival}_{suffix}"))
        for suffix, how in trainings.items()
    ]
    gaps = [_gap(how, item) for how, item in found if item is not None]
    return f"; not judged: {', '.join(gaps)}" if gaps else ""


def _gap(how: str, found: Contrast) -> str:
    numbers = spread(found.difference.value, *found.bounds, "+")
    return f"{numbers} with {how} and {counted(len(found.seeds), 'seed')}"


JUDGES: Mapping[str, Callable[[View], Verdict]] = {
    "C1": beats_dual_stream,
    "C2": competitive_with_single_stream,
    "C3": faster,
    "C4": image_retrieval_improves,
    "C5": text_matching_improves,
    "C6": sharing_aligns,
}
"""What judges each of the claims."""
