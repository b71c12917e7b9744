"""The systems of a growth cell, measured in turns, and how their times relate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.material.grown_servers import Grown
from bench.measure.latency import InterleavedSamples, PairedRatio
from bench.measure.percentiles import Interval


@dataclass(frozen=True, slots=True)
class Contestant:
    """A system in front of the gallery, or of a part of it.

    Attributes:
        name: of the system. server: what answers. images: gallery rows that it really looks at.
        row_bytes: what one image takes in its gallery.
    """

    name: str
    server: Grown
    images: int
    row_bytes: int

    def factor(self, gallery: int) -> float:
        """Return how many times what it looks at goes into ``gallery`` images."""
        return gallery / self.images


def ratios(
    together: InterleavedSamples, contestants: Mapping[str, Contestant], size: int
) -> dict[str, dict[str, Any]]:
    """Return each system's time relative to the single-stream's, paired by rounds."""
    reference = "single_stream"
    if reference not in contestants:
        return {}
    factor = {name: one.factor(size) for name, one in contestants.items()}
    found = {name: together.ratio(name, reference) for name in contestants}
    return {
        name: _scaled(ratio, factor[name] / factor[reference]).to_dict()
        for name, ratio in found.items()
        if name != reference
    }


def _scaled(ratio: PairedRatio, factor: float) -> PairedRatio:
    interval = ratio.interval
    if interval is not None:
        interval = Interval(factor * interval.low, factor * interval.high, interval.confidence)
    return replace(ratio, median=factor * ratio.median, interval=interval)
