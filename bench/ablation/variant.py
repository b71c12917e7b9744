"""One row of the ablation, and how it becomes a system that can be trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.systems import Builder, Settings, System, register, unchanged


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the ablation.

    Attributes:
        name: of the system. label: in the table.
        change: in what it differs from its control.
        control: the row that it differs from in this one thing; "" for where the chain begins.
        core: whether the claim needs it; the others are asked for with ``--variants``.
        build: of a system that exists for the ablation alone; None for one that all tables show.
        settings: the preset's settings to the row's.
        note: footnote, or "".
        system: further fields of the :class:`bench.systems.System`.
    """

    name: str
    label: str
    change: str
    control: str = ""
    core: bool = False
    build: Builder | None = None
    settings: Settings = unchanged
    note: str = ""
    system: tuple[tuple[str, Any], ...] = ()

    def register(self) -> System:
        """Make the row a system that exists to be compared."""
        return register(
            System(
                name=self.name,
                label=self.label,
                family="dual",
                build=self.build,
                parts=(self.name,),
                kinds=("train", "accuracy"),
                note=self.note,
                settings=self.settings,
                variant=True,
                **dict(self.system),
            )
        )
