"""Records: what a finished cell leaves behind, the only source that reports are made from.

A record is one JSON file. Nothing in this module needs torch.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.record_types import CELL, STAMP, TYPES, type_problems
from cookie.errors import DataError, one_line
from cookie.files import replacing

SCHEMA = 1
Kind = Literal[
    "train",
    "accuracy",
    "images",
    "texts",
    "efficiency",
    "evaluations",
    "latency",
    "load",
    "growth",
    "shortlists",
    "shortlist_speed",
    "cost",
]
EVERY_SYSTEM = "all"
"""System name of a cell that measures all systems of a table together."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """The smallest piece of work that is kept: one kind of result of one system and seed.

    Attributes:
        gallery: rows of the gallery of a growth cell; 0 where the test split is the gallery.
    """

    kind: Kind
    system: str
    seed: int
    gallery: int = 0

    @property
    def filename(self) -> str:
        """Name of the record inside its section's folder."""
        size = f"-{self.gallery}" if self.gallery else ""
        return f"{self.system}-seed{self.seed}-{self.kind}{size}.json"

    def __str__(self) -> str:
        size = f" at {self.gallery:,}" if self.gallery else ""
        return f"{self.kind} {self.system} seed {self.seed}{size}"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What has to agree for a record to be the answer to a cell asked for now.

    Attributes:
        dataset: name. dataset_sha256: hash of its content.
        preset: name of the preset. config_digest: hash of every setting.
        protocol: the JSON-able choices of measuring (limits, budgets, samples).
    """

    dataset: str
    dataset_sha256: str
    preset: str
    config_digest: str
    protocol: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """A finished cell with everything needed to read it without the run.

    Attributes:
        cell: what was done. stamp: on what and how.
        regime: how the encoders were trained. config: every setting.
        dataset_facts: counts and histograms. hardware: slug and description of the machine.
        environment: versions, commit, clocks, threads.
        values: the results. samples: raw measurements, in seconds unless named otherwise.
        seconds: wall time of the cell. created: UTC time, ISO 8601.
    """

    cell: Cell
    stamp: Stamp
    regime: str
    config: Mapping[str, Any]
    dataset_facts: Mapping[str, Any]
    hardware: Mapping[str, Any]
    environment: Mapping[str, Any]
    values: Mapping[str, Any]
    samples: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    created: str = ""
    schema: int = SCHEMA

    @property
    def section(self) -> Section:
        """Where the record belongs; records of different sections are never compared."""
        limit = self.stamp.protocol.get("limit")
        return Section(self.stamp.preset, self.regime, self.hardware["slug"], limit)

    def to_json(self) -> str:
        """Return the record as text; equal records give equal text."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Section:
    """One preset trained one way on one machine; ``limit`` images, or None for the whole test."""

    preset: str
    regime: str
    hardware: str
    limit: int | None = None

    @property
    def name(self) -> str:
        """What a drawing of it is called."""
        return f"{self.preset}, {self.regime}, {self.hardware}"

    @property
    def folder(self) -> Path:
        """Path of the section's records below ``records/``."""
        limited = "" if self.limit is None else f"-first-{self.limit}"
        return Path(f"{self.preset}{limited}") / self.hardware


def parse(text: str, source: str) -> Record:
    """Return the record in ``text``; raise :class:`DataError` naming ``source`` if it is none."""
    try:
        fields = json.loads(text, parse_constant=_no_number)
        if fields["schema"] != SCHEMA:
            raise DataError(
                f"{source} has record schema {fields['schema']!r}, this suite reads {SCHEMA}: "
                "run the cell again with --force."
            )
        fields["cell"] = Cell(**fields["cell"])
        fields["stamp"] = Stamp(**fields["stamp"])
        record = Record(**fields)
        _check_types(record)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{source} is not a record ({one_line(error)}): delete it and run again."
        ) from None
    return record


def _check_types(record: Record) -> None:
    """Raise :class:`TypeError` where the record's fields or its section's are of other types."""
    for part, types in ((record.cell, CELL), (record.stamp, STAMP), (record, TYPES)):
        for problem in type_problems(part, types):
            raise TypeError(problem)
    if not isinstance(record.hardware.get("slug"), str):
        raise TypeError("the hardware has no 'slug'.")
    if not isinstance(record.stamp.protocol.get("limit"), int | None):
        raise TypeError("the protocol's 'limit' is no number.")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def read(path: Path) -> Record:
    """Return the record stored at ``path``."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a text file: delete it and run again.") from None


def read_all(dataset_folder: Path) -> Iterator[Record]:
    """Yield every record below ``results/<dataset>``, in a fixed order."""
    for path in sorted((dataset_folder / "records").rglob("*.json")):
        yield read(path)


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the whole new one, whatever happens."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def slug(name: str) -> str:
    """Return ``name`` as lower-case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
