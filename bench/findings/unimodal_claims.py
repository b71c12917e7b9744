"""C4 and C5, judged within one section: retrieval of images by images, of captions by captions."""

from __future__ import annotations

from dataclasses import dataclass

from bench.findings.sections import View
from bench.findings.unimodal import REFERENCE, improvement, measure
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
    """

    sentence: str
    percent: float
    kind: Kind
    table: str
    column: str
    name: str


TEXT_MATCHING = UnimodalClaim(
    "C5 (text matching improves)", 3.9, "texts", "captions", "map_r", "mAP@R of same-image captions"
)


def image_retrieval_improves(view: View) -> Verdict:
    """C4, by the first truth that is no proxy."""
    known = [t for t in list(TRUTHS)[:-1] if measure(view.of("images", "cookie"), t, "ndcg")]
    truth = known[0] if known else "scene_graph"
    name = f"nDCG@10 by {TRUTHS[truth]}"
    sentence = "C4 (image retrieval improves)"
    return improves(view, UnimodalClaim(sentence, 5.7, "images", truth, "ndcg", name))


def text_matching_improves(view: View) -> Verdict:
    """C5, by the other captions of an image."""
    return improves(view, TEXT_MATCHING)


def improves(view: View, claim: UnimodalClaim) -> Verdict:
    """Judge whether COOKIE is better than the plain dual-stream, beside the abstract's figure."""
    pair = [
        measure(view.of(claim.kind, system), claim.table, claim.column)
        for system in ("cookie", REFERENCE)
    ]
    ours, theirs = pair
    found = improvement(ours, theirs) if ours and theirs else None
    if ours is None or theirs is None or found is None:
        return unknown(claim.sentence, f"{claim.name} of cookie and dual_stream")
    (low, high), seeds = found.bounds, (ours.seeds, theirs.seeds)
    outcome: Outcome = "undecided"
    if low > 0 or high < 0:
        outcome = "holds" if low > 0 else "does not hold"
    told = "" if found.by_seed is not None else seeds_told(*seeds, "the dual-stream")
    reason = (
        f"{claim.name} {ours.mean:.1f} for COOKIE and {theirs.mean:.1f} for the dual-stream, "
        f"relative improvement {spread(found.percent, low, high, '+')} % {over(found.seeds)}; the "
        f"abstract says {claim.percent:g} %, of a measure and data that it does not name{told}."
    )
    unit = f"% {claim.name}"
    effect = Effect(found.percent, unit, low, high, p_value=found.p_value, seeds=min(seeds))
    return Verdict(claim.sentence, outcome, reason, effect)
