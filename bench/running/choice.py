"""What a cell of a plan is expected to take, and what a run of limited time does with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from bench.layout import duration
from bench.records import Cell

State = Literal["finished", "runs", "left out"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A cell of the plan.

    Attributes:
        seconds: expected, or what a finished one took. source: what the expectation rests on.
    """

    cell: Cell
    finished: bool
    seconds: float
    source: str

    def __str__(self) -> str:
        state = "finished" if self.finished else self.source
        return f"{self.cell!s:<40} {duration(self.seconds):>10}  {state}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "cell": str(self.cell),
            "finished": self.finished,
            "seconds": self.seconds,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """What a limited run does with a cell; ``reason`` where it is left out."""

    estimate: Estimate
    state: State
    reason: str = ""

    def __str__(self) -> str:
        told = f"{self.state}: {self.reason}" if self.reason else self.state
        return f"{self.estimate.cell!s:<40} {duration(self.estimate.seconds):>10}  {told}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**self.estimate.to_dict(), "state": self.state, "reason": self.reason}
