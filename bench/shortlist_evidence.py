"""What the records of shortlists say at every length, in the form of accuracy records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.evidence import DIRECTIONS, Evidence, gather_samples
from bench.records import Record
from bench.sections import View

SYSTEM = "two_stage"
ALONE, WHOLE = "alone", "whole"
"""The end points, as the records name them."""


def names(view: View) -> list[str]:
    """Return the lengths that were measured, COOKIE alone first, the single-stream last."""
    lengths = view.of("shortlists", SYSTEM)[0].values["lengths"]
    return [ALONE, *(str(k) for k in lengths), WHOLE]


def evidence(view: View, name: str, *, everyone: bool = True) -> Evidence:
    """Return the answers at one shortlist length over the seeds.

    Args:
        view: the section.
        name: the length, or an end point.
        everyone: whether to count the queries that were not asked against the whole gallery.
    """
    records = view.of("shortlists", SYSTEM)
    return gather_samples(
        {record.cell.seed: _samples(record, name, everyone) for record in records}
    )


def _samples(record: Record, name: str, everyone: bool) -> dict[str, dict[str, list[int]]]:
    """Return the samples of all groups that reach ``name``, as an accuracy record has them."""
    groups = record.samples["groups"][: None if everyone else 1]
    reached = [group for group in groups if name in group["i2t"]["rank"]]
    return {direction: _joined(reached, direction, name) for direction in DIRECTIONS}


def _joined(groups: Sequence[Mapping[str, Any]], direction: str, name: str) -> dict[str, list[int]]:
    found = [group[direction] for group in groups]
    return {
        "query": [query for part in found for query in part["query"]],
        "image": [image for part in found for image in part["image"]],
        "rank": [rank for part in found for rank in part["rank"][name]],
    }
