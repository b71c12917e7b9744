"""What the records of shortlists say at every length: answers, differences, times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.findings.differences import Difference, compare, on_common_queries
from bench.findings.evidence import DIRECTIONS, Evidence, gather_samples
from bench.findings.sections import View
from bench.records import Record

SYSTEM = "two_stage"
ALONE, WHOLE = "alone", "whole"
"""The end points, as the records name them."""
END_POINTS = {ALONE: "cookie", WHOLE: "single_stream"}


def names(view: View) -> list[str]:
    """Return the lengths that were measured, COOKIE alone first, the single-stream last."""
    lengths = view.of("shortlists", SYSTEM)[0].values["lengths"]
    return [ALONE, *(str(k) for k in lengths), WHOLE]


def evidence(view: View, name: str) -> Evidence:
    """Return the answers at one shortlist length, or an end point, over the seeds."""
    records = view.of("shortlists", SYSTEM)
    return gather_samples({record.cell.seed: _samples(view, record, name) for record in records})


def comparable(view: View) -> dict[str, Evidence]:
    """Return the answers of as many lengths as share queries with both end points.

    Lengths that were asked of fewer queries than the end points are left out where the
    single-stream answered all of them; where it did not, all are cut to those that it answered.
    """
    found = {name: evidence(view, name) for name in names(view)}
    if _asked(found[WHOLE]) == _asked(found[ALONE]):
        return {name: one for name, one in found.items() if _asked(one) == _asked(found[WHOLE])}
    return dict(zip(found, on_common_queries(*found.values()), strict=True))


def _asked(evidence: Evidence) -> tuple[int, ...]:
    return tuple(len(evidence.answers[direction].queries) for direction in DIRECTIONS)


def _samples(view: View, record: Record, name: str) -> Mapping[str, Mapping[str, list[int]]]:
    """Return the samples of all groups that reach ``name``, as an accuracy record has them.

    The single-stream's accuracy cell asks the same pairs, often more of them: with the same weights
    its answers are taken.
    """
    own = _whole(view, record) if name == WHOLE else None
    if own is not None:
        return own.samples
    reached = [group for group in record.samples["groups"] if name in group["i2t"]["rank"]]
    return {direction: _joined(reached, direction, name) for direction in DIRECTIONS}


def _whole(view: View, record: Record) -> Record | None:
    """Return the single-stream's answers to all queries with the weights that re-ranked."""
    used = _weights(record)
    for own in view.of("accuracy", END_POINTS[WHOLE]):
        same = own.cell.seed == record.cell.seed and used and _weights(own)[-1:] == used[-1:]
        if same and not own.values["sampled"]:
            return own
    return None


def _weights(record: Record) -> list[str]:
    """Return the hashes of the weights, those of the single-stream last."""
    return list(record.stamp.protocol.get("weights", ()))


def _joined(groups: Sequence[Mapping[str, Any]], direction: str, name: str) -> dict[str, list[int]]:
    found = [group[direction] for group in groups]
    return {
        "query": [query for part in found for query in part["query"]],
        "image": [image for part in found for image in part["image"]],
        "rank": [rank for part in found for rank in part["rank"][name]],
    }


class Sweep:
    """One section's lengths with what is known of each.

    Attributes:
        names: the lengths between the end points. evidence: the answers at each.
        against_whole, against_alone: differences from the single-stream, and from COOKIE.
        speed: the record of times, None where there is none.
    """

    def __init__(self, view: View) -> None:
        self.view, self.names = view, names(view)
        self.evidence = {name: evidence(view, name) for name in self.names}
        self.against_whole = self._compared(WHOLE)
        self.against_alone = self._compared(ALONE)
        self.speed = view.one("shortlist_speed", SYSTEM)

    def _compared(self, reference: str) -> dict[str, Difference]:
        other = self.evidence[reference]
        others = [name for name in self.names if name != reference]
        return {name: compare(self.evidence[name], other) for name in others}

    def full_evaluation(self, name: str) -> Mapping[str, Any] | None:
        """Return what the full evaluation takes at one length, None where it is unknown."""
        if name in END_POINTS:
            record = self.view.one("efficiency", END_POINTS[name])
            return None if record is None else record.values["full_evaluation"]
        return None if self.speed is None else self.speed.values["full_evaluations"][name]
