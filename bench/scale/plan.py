"""What the tables are made of: a scenario, the machines and the counted work."""

from __future__ import annotations

from dataclasses import dataclass

from bench.layout import Missing, Value, scaled
from bench.scale.machines import Machine, measured, published
from bench.scale.scenario import Scenario
from bench.scale.work import Work, cookie_work, embedding_width, single_stream_work

REFERENCE = "NVIDIA H100 SXM 80 GB"
"""The machine that tables with one machine are about."""
NO_PEAK = Missing("The maker states no peak of bfloat16 products.")


@dataclass(frozen=True)
class Plan:
    """All that the tables are made of.

    Attributes:
        scenario: sizes and assumptions. machines: measured ones first.
        cookie, single: the two architectures. width: D.
    """

    scenario: Scenario
    machines: tuple[Machine, ...]
    cookie: Work
    single: Work
    width: int

    @property
    def reference(self) -> Machine:
        """The machine of the tables that are about one."""
        return next(machine for machine in self.machines if machine.name == REFERENCE)

    @property
    def half_bytes(self) -> int:
        """Bytes of the gallery in float16."""
        return self.scenario.gallery * 2 * self.width


def plan(scenario: Scenario) -> Plan:
    """Return everything for ``scenario``; counts the FLOPs of both architectures."""
    machines = (*measured(scenario.results), *published())
    cookie, single = cookie_work(scenario.tokens), single_stream_work(scenario.tokens)
    return Plan(scenario, machines, cookie, single, embedding_width())


def size(value: float) -> str:
    """Return bytes with a decimal prefix."""
    return scaled(value, "B")


def flop(value: float) -> str:
    """Return FLOPs with a decimal prefix."""
    return scaled(value, "FLOP")


def times(count: int) -> str:
    """Return how many epochs."""
    return f"{count} epoch{'s' * (count > 1)}"


def number(value: int) -> str:
    """Return a number of things."""
    return f"{value:,}"


def known(value: float | None) -> Value:
    """Return what follows from a peak, or that there is none."""
    return NO_PEAK if value is None else value
