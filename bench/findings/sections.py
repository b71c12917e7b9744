"""Records arranged for reading: one view a section, with the cells of each system at hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.failures import Failure
from bench.findings.evidence import Evidence, gather
from bench.layout import Missing
from bench.records import EVERY_SYSTEM, Kind, Record, Section
from bench.systems import systems


@dataclass(frozen=True, slots=True)
class View:
    """The records of one section that belong together, and how many do not.

    Attributes:
        records: in the order of cells; all of one data set hash and configuration.
        stale: records in the same place that were made with other settings or other data.
        failures: cells of the section that could not be run.
    """

    section: Section
    records: tuple[Record, ...]
    stale: int = 0
    failures: tuple[Failure, ...] = ()

    def of(self, kind: Kind, system: str) -> list[Record]:
        """Return a system's records of a kind, by seed."""
        return [r for r in self.records if (r.cell.kind, r.cell.system) == (kind, system)]

    def one(self, kind: Kind, system: str) -> Record | None:
        """Return the first seed's record, or None."""
        found = self.of(kind, system)
        return found[0] if found else None

    def missing(self, kind: Kind, system: str, otherwise: str) -> Missing:
        """Return why a cell is not there: the reason of its failure, or ``otherwise``."""
        cells = [(failure.cell.kind, failure.cell.system) for failure in self.failures]
        if (kind, system) not in cells:
            return Missing(otherwise)
        return Missing(f"Could not be run: {self.failures[cells.index((kind, system))].reason}")

    @property
    def latency(self) -> Record | None:
        """The record of all systems' query latencies."""
        return self.one("latency", EVERY_SYSTEM)

    @property
    def evaluations(self) -> Record | None:
        """The record of full evaluations that were timed in turns."""
        return self.one("evaluations", EVERY_SYSTEM)

    def evidence(self, system: str) -> Evidence | None:
        """Return a system's answers over its seeds, or None."""
        records = self.of("accuracy", system)
        return gather(records) if records else None

    @property
    def rows(self) -> list[str]:
        """Systems whose accuracy or speed is known or failed, in the order of registration.

        Variants are left out: they are rows of the ablation alone.
        """
        kinds = ("accuracy", "efficiency")
        cells = [r.cell for r in self.records] + [f.cell for f in self.failures]
        known = {cell.system for cell in cells if cell.kind in kinds}
        return [name for name in systems if name in known and not systems[name].variant]

    @property
    def newest(self) -> Record:
        """The record that was made last."""
        return max(self.records, key=lambda record: record.created)


def views(records: Iterable[Record], failures: Sequence[Failure] = ()) -> list[View]:
    """Return one view a section that has records, the sections in a fixed order."""
    sections: dict[Section, list[Record]] = defaultdict(list)
    for record in records:
        sections[record.section].append(record)
    order = sorted(sections, key=lambda s: (s.preset, s.regime, s.hardware, s.limit or 0))
    return [_view(section, sections[section], failures) for section in order]


def _view(section: Section, records: Sequence[Record], failures: Sequence[Failure]) -> View:
    """Keep what agrees with the newest record in settings and data."""
    newest = max(records, key=lambda record: record.created)
    kept = sorted((r for r in records if _ground(r) == _ground(newest)), key=lambda r: r.cell)
    failed = tuple(f for f in failures if f.section == section)
    return View(section, tuple(kept), len(records) - len(kept), failed)


def _ground(record: Record) -> tuple[str, str]:
    return record.stamp.dataset_sha256, record.stamp.config_digest
