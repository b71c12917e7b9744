"""Full evaluations by the number of images, by measured rates, beside what others published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.findings.inference_time import (
    CLAIMED_PER_MILLE,
    Evaluated,
    fastest,
    gallery_for,
    per_mille_at,
)
from bench.findings.sections import View
from bench.findings.verdicts import Finding
from bench.layout import Column, Marked, Missing, Value, duration, significant
from bench.published import published

REACH = 200
"""Times the measured images up to which rates are believed: beyond, a few ms become hours."""
PUBLISHED_SIZES = {1_000: " 1K", 5_000: " 5K"}
"""Images -> how a published row names the data it was evaluated on."""

TOO_FAR = Missing(f"More than {REACH} times the images whose rates were measured.")
RATIOS = (
    Column("images", "images", lambda value: f"{value:,}"),
    Column("cookie", "COOKIE", duration),
    Column("single_stream", "single-stream", duration),
    Column("per_mille", "‰, measured here", significant),
    Column("published", "‰, published", significant),
    Column("source", "published by", align="left"),
)


def ratio_rows(view: View, sizes: Sequence[int]) -> list[dict[str, Value]]:
    """Return the full evaluation of both systems by the number of images, beside published ones."""
    ours, theirs = fastest(view, "cookie"), fastest(view, "single_stream")
    if ours is None or theirs is None:
        return []
    shown = sorted({ours.evaluation["images"], *PUBLISHED_SIZES, *sizes})
    return [_ratio_row(size, ours, theirs) for size in shown]


def _ratio_row(size: int, ours: Evaluated, theirs: Evaluated) -> dict[str, Value]:
    keys, full = ("cookie", "single_stream", "per_mille"), ours.evaluation
    if size > REACH * full["images"]:
        return {"images": size, **dict.fromkeys(keys, TOO_FAR), **published_ratio(size)}
    ratio = per_mille_at(size, full, theirs.evaluation)
    shown = (
        _remarked(evaluation_at(size, full), size, ours),
        _remarked(evaluation_at(size, theirs.evaluation), size, theirs),
        _remarked(ratio, size, ours, theirs),
    )
    return {"images": size, **dict(zip(keys, shown, strict=True)), **published_ratio(size)}


def _remarked(value: float, size: int, *systems: Evaluated) -> Value:
    """Return a number with what is not as measured about it, and who was compiled."""
    remarks = []
    if any(one.evaluation["extrapolated"] or size != one.evaluation["images"] for one in systems):
        remarks.append(_BY_RATES)
    compiled = [one.label for one in systems if one.compiled]
    if compiled:
        remarks.append(f"As fast as it was measured: {' and '.join(compiled)}.")
    return Marked(value, " ".join(remarks)) if remarks else value


_BY_RATES = (
    "By the measured rates: encoding grows with the images, ranking with their square; as many "
    "captions an image as in the test split."
)


def evaluation_at(images: int, evaluation: Mapping[str, Any]) -> float:
    """Return the seconds of a full evaluation of ``images`` by its linear and square parts."""
    factor, parts = images / evaluation["images"], evaluation["parts"]
    return float(factor * parts["encoding"] + factor**2 * parts["ranking"])


def published_ratio(images: int) -> dict[str, Value]:
    """Return what was published at this number of images, with its source."""
    unknown = Missing("Nothing is published at this number of images that we know of.")
    ending = PUBLISHED_SIZES.get(images)
    for row in published():
        timed = row["family"] == "dual-stream" and row["full_evaluation"]
        if ending and timed and row["dataset"].endswith(ending):
            return {
                "published": float(row["per_mille_of_single_stream"]),
                "source": f"{row['system']}: {row['full_evaluation']} of {_whole(row)} "
                f"({row['dataset']}, {row['setting']})",
            }
    return {"published": unknown, "source": "-"}


def _whole(row: Mapping[str, str]) -> str:
    """Return the published time of the same source's single-stream."""
    return next(
        other["full_evaluation"]
        for other in published()
        if other["source"] == row["source"] and other["family"] == "single-stream"
    )


def ratio_finding(view: View) -> Finding:
    """Return the ratio where others published theirs, and where it is what the paper claims."""
    subject = "Full evaluation by gallery size (3/1000 of the one-stream inference time)"
    ours, theirs = fastest(view, "cookie"), fastest(view, "single_stream")
    if ours is None or theirs is None:
        return Finding(subject, "this section lacks the speed of cookie and single_stream.")
    full, reference = ours.evaluation, theirs.evaluation
    ratios = [
        f"{significant(per_mille_at(size, full, reference))} per mille at {size:,} images"
        for size in PUBLISHED_SIZES
        if size <= REACH * full["images"]
    ] or ["an unknown share at the published numbers of images"]
    size = gallery_for(CLAIMED_PER_MILLE, full, reference)
    passes = (
        f"it falls to {CLAIMED_PER_MILLE:g} per mille at no number of images"
        if size is None
        else f"it falls to {CLAIMED_PER_MILLE:g} per mille at about {significant(size)} images"
    )
    return Finding(
        subject,
        f"by the measured rates {ours.label} takes {' and '.join(ratios)} of the time of "
        f"{theirs.label}; {passes}.",
    )
