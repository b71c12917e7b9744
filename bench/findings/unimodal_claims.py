"""C4 and C5, judged within one section: retrieval of images by images, of captions by captions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.findings.sections import View
from bench.findings.unimodal import REFERENCE, Improvement, Measure, improvement, measure
from bench.findings.verdicts import Effect, Outcome, Verdict, over, seeds_told, unknown
from bench.layout import spread
from bench.records import Kind

TRUTHS = {
    "scene_graph": "scene graph",
    "crowd": "people (crowd)",
    "expert": "people (experts)",
    "caption_agreement": "caption agreement (proxy)",
}
"""Names in the order in which they decide; the proxy never does."""


@dataclass(frozen=True, slots=True)
class UnimodalClaim:
    """An abstract's claim of an improvement within one modality.

    Attributes:
        sentence: its name. percent: the abstract's figure.
        kind: of the records. table, column: the deciding measure. name: how it is called.
        beside: tables of other truths by their name, which are shown and do not decide.
    """

    sentence: str
    percent: float
    kind: Kind
    table: str
    column: str
    name: str
    beside: Mapping[str, str] = field(default_factory=dict)


TEXT_MATCHING = UnimodalClaim(
    "C5 (text matching improves)", 3.9, "texts", "captions", "map_r", "mAP@R of same-image captions"
)


def image_retrieval_improves(view: View) -> Verdict:
    """C4, by the first truth that is no proxy; what the others say stands beside it."""
    known = [t for t in list(TRUTHS)[:-1] if measure(view.of("images", "cookie"), t, "ndcg")]
    first, *others = known or ["scene_graph"]
    claim = UnimodalClaim(
        "C4 (image retrieval improves)",
        5.7,
        "images",
        first,
        "ndcg",
        f"nDCG@10 by {TRUTHS[first]}",
        {TRUTHS[truth]: truth for truth in others},
    )
    return improves(view, claim)


def text_matching_improves(view: View) -> Verdict:
    """C5, by the other captions of an image."""
    return improves(view, TEXT_MATCHING)


def improves(view: View, claim: UnimodalClaim) -> Verdict:
    """Judge whether COOKIE is better than the plain dual-stream, beside the abstract's figure."""
    ours, theirs = _both(view, claim, claim.table)
    found = improvement(ours, theirs) if ours and theirs else None
    if ours is None or theirs is None or found is None:
        return unknown(claim.sentence, f"{claim.name} of cookie and dual_stream")
    (low, high), seeds = found.bounds, (ours.seeds, theirs.seeds)
    outcome: Outcome = "undecided"
    if low > 0 or high < 0:
        outcome = "holds" if low > 0 else "does not hold"
    beside = _beside(view, claim)
    told = "" if found.by_seed is not None else seeds_told(*seeds, "the dual-stream")
    reason = (
        f"{claim.name} {ours.mean:.1f} for COOKIE and {theirs.mean:.1f} for the dual-stream, "
        f"relative improvement {spread(found.percent, low, high, '+')} % {over(found.seeds)}; the "
        f"abstract says {claim.percent:g} %, of a measure and data that it does not name"
        f"{''.join(f'; by {name} {other}' for name, other in beside.items())}{told}."
    )
    said = (f", {other.percent:+.1f} by {name}" for name, other in beside.items())
    unit = f"% {claim.name}{''.join(said)}"
    effect = Effect(found.percent, unit, low, high, p_value=found.p_value, seeds=min(seeds))
    return Verdict(claim.sentence, outcome, reason, effect)


def _both(view: View, claim: UnimodalClaim, table: str) -> tuple[Measure | None, Measure | None]:
    """Return COOKIE's and the dual-stream's measure."""
    ours, theirs = (
        measure(view.of(claim.kind, system), table, claim.column)
        for system in ("cookie", REFERENCE)
    )
    return ours, theirs


def _beside(view: View, claim: UnimodalClaim) -> dict[str, Improvement]:
    """Return what the truths that do not decide say, by their names."""
    found = dict[str, Improvement]()
    for name, table in claim.beside.items():
        ours, theirs = _both(view, claim, table)
        other = improvement(ours, theirs) if ours and theirs else None
        if other is not None:
            found[name] = other
    return found
