"""Two sides of a comparison: which records belong together, and what differs between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.records import Record, read
from cookie.errors import DataError, UserError

_MOMENTARY = ("before", "after")
"""Parts of the environment that are never the same twice: load, clocks, free memory."""
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Records of both sides that answer the same question, seeds in the same order.

    Attributes:
        name: of the question, such as ``accuracy cookie``.
    """

    name: str
    first: tuple[Record, ...]
    second: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A setting or a fact about the machine that differs; values as JSON has them."""

    key: str
    first: Any
    second: Any

    def __str__(self) -> str:
        return f"{self.key}: {_short(self.first)} -> {_short(self.second)}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"key": self.key, "first": self.first, "second": self.second}


def _short(value: Any) -> str:  # noqa: ANN401 -- whatever JSON can hold
    """Return ``value`` in a few words: of hashes and long lists the beginning."""
    if isinstance(value, list):
        return f"[{', '.join(_short(part) for part in value[:4])}{', ...' * (len(value) > 4)}]"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:12]}..."


def match(first: Path, second: Path) -> list[Match]:
    """Return what can be compared of two record files, or of two folders of records.

    Raises:
        UserError: a side is missing, holds no record, or has nothing that the other has.
    """
    if first.is_file() and second.is_file():
        one, two = read(first), read(second)
        _require_same_kind(one, two)
        return [Match(_name(one, two), (one,), (two,))]
    if first.is_dir() and second.is_dir():
        return _match_folders(first, second)
    for side in (first, second):
        if not side.exists():
            raise UserError(f"There is no '{side}': name a record file or a folder of results.")
    raise UserError("Compare a record file with a record file, or a folder with a folder.")


def _require_same_kind(one: Record, two: Record) -> None:
    if one.cell.kind != two.cell.kind:
        raise UserError(
            f"A holds {one.cell.kind} and B {two.cell.kind}: name two records of one kind."
        )


def _name(one: Record, two: Record) -> str:
    systems = dict.fromkeys((one.cell.system, two.cell.system))
    return f"{one.cell.kind} {' and '.join(systems)}"


def _match_folders(first: Path, second: Path) -> list[Match]:
    """Match by data set, preset, limit, kind and system; by hardware where both have the same."""
    sides = [_records(folder) for folder in (first, second)]
    machines = [{record.hardware["slug"] for record in side} for side in sides]
    together = bool(machines[0] & machines[1])
    grouped = [_grouped(side, together) for side in sides]
    common = [key for key in grouped[0] if key in grouped[1]]
    found = [_seeds(key, grouped[0][key], grouped[1][key]) for key in common]
    matches = [one for one in found if one is not None]
    if not matches:
        raise UserError(
            f"'{first}' and '{second}' share no data set, preset, system, seed and kind of record."
        )
    return matches


def _records(folder: Path) -> list[Record]:
    paths = sorted(path for path in folder.rglob("*.json") if "records" in path.absolute().parts)
    if not paths:
        raise UserError(f"'{folder}' holds no records.")
    return [read(path) for path in paths]


def _grouped(records: Sequence[Record], together: bool) -> dict[Key, dict[int, Record]]:
    """Return key -> seed -> record."""
    groups: dict[Key, dict[int, Record]] = defaultdict(dict)
    for record in records:
        section = record.section
        machine = (section.hardware,) if together else ()
        key = (
            *(record.stamp.dataset, section.preset, str(section.limit), *machine),
            *(record.cell.kind, record.cell.system, str(record.cell.gallery)),
        )
        if record.cell.seed in groups[key]:
            raise DataError(f"{record.cell} is there from several machines: name one's folder.")
        groups[key][record.cell.seed] = record
    return dict(groups)


def _seeds(key: Key, one: Mapping[int, Record], two: Mapping[int, Record]) -> Match | None:
    shared = sorted(one.keys() & two.keys())
    if not shared:
        return None
    kind, system, gallery = key[-3:]
    size = f" at {int(gallery):,}" if int(gallery) else ""
    name = f"{key[0]} {key[1]}: {kind} {system}{size}"
    return Match(name, tuple(one[s] for s in shared), tuple(two[s] for s in shared))


def require_comparable(one: Record, two: Record) -> None:
    """Raise :class:`UserError` unless both sides measured the same work."""
    first, second = one.stamp, two.stamp
    if first.dataset != second.dataset:
        raise UserError(
            f"A is about {first.dataset} and B about {second.dataset}: their numbers have "
            "nothing in common."
        )
    if first.dataset_sha256 != second.dataset_sha256:
        raise UserError(
            f"A and B hold different versions of {first.dataset} "
            f"({first.dataset_sha256[:12]} and {second.dataset_sha256[:12]})."
        )
    for name in ("limit", "neighbors"):
        told = [stamp.protocol.get(name) for stamp in (first, second)]
        if told[0] != told[1]:
            raise UserError(f"The protocols differ: {name} is {told[0]} in A and {told[1]} in B.")


def changes(one: Record, two: Record) -> list[Change]:
    """Return every setting, fact about the machine and choice of measuring that differs."""
    first, second = _facts(one), _facts(two)
    names = dict.fromkeys((*first, *second))
    pairs = ((name, first.get(name), second.get(name)) for name in names)
    return [Change(name, before, after) for name, before, after in pairs if before != after]


def _facts(record: Record) -> dict[str, Any]:
    environment = {k: v for k, v in record.environment.items() if k not in _MOMENTARY}
    parts = {
        "system": record.cell.system,
        "seed": record.cell.seed,
        "regime": record.regime,
        "config": record.config,
        "hardware": record.hardware,
        "environment": environment,
        "protocol": record.stamp.protocol,
    }
    return dict(flatten(parts))


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings with their keys joined by dots."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
