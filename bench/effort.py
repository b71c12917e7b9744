"""How much time a measurement may take; written into the protocol of every record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Effort:
    """Time budgets, in seconds unless said otherwise.

    Attributes:
        repeat: full evaluations of a dual encoder are repeated, two to five times, until then.
        part: length of each timed part where not all pairs are scored. parts: how many.
        whole_cpu, whole_cuda: all pairs are scored where that takes no longer.
        latency: of each of the two interleaved runs. rounds: most rounds of the first one.
        stretch: length of a stretch of a throughput. repetitions: stretches a batch size.
        call: a batch size is tried where its queries, one by one, would take no longer.
        memory: until the process that measures memory is ended.
    """

    repeat: float = 30.0
    part: float = 4.0
    parts: int = 5
    whole_cpu: float = 60.0
    whole_cuda: float = 600.0
    latency: float = 30.0
    rounds: int = 60
    stretch: float = 0.3
    repetitions: int = 5
    call: float = 2.0
    memory: float = 900.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


SMOKE = Effort(
    repeat=0.1, part=0.1, parts=2, latency=2.0, rounds=10, stretch=0.02, repetitions=2, call=0.1
)
"""Enough to see that everything runs."""


def effort_of(preset: str) -> Effort:
    """Return the effort that suits a preset."""
    return SMOKE if preset == "smoke" else Effort()
