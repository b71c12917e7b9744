"""Checks of single records and of records beside each other: what a reader may rely on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias, get_args

import numpy as np

from bench.findings.evidence import DIRECTIONS
from bench.findings.histories import problems
from bench.record_types import MISSHAPEN, TYPES, type_problems
from bench.records import EVERY_SYSTEM, Kind, Record, read
from bench.systems import systems
from cookie.config import digest_of
from cookie.errors import DataError, one_line

Check: TypeAlias = Callable[[Path, Record], Iterable[str]]
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "train": ("steps", "seconds", "best_step", "trainable_parameters"),
    "accuracy": ("metrics", "sampled", "gallery"),
    "efficiency": ("full_evaluation", "throughput", "memory", "cost"),
    "evaluations": ("systems", "rounds", "left_out"),
    "latency": ("systems", "gallery"),
    "load": ("gallery", "limit_s", "max_batch", "closed", "open"),
}
"""What the tables read from the values of a record, by kind."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong.

    Attributes:
        path: of the file. check: which check found it. problem: one sentence.
    """

    path: str
    check: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.check}: {one_line(self.problem)}"

    def to_dict(self) -> dict[str, str]:
        """Return plain values."""
        return asdict(self)


def read_records(results: Path) -> tuple[dict[Path, Record], list[Finding]]:
    """Return the records below ``results`` by path, and a finding for every file that is none."""
    records, findings = {}, []
    for path in sorted(results.glob("*/records/**/*.json")):
        try:
            records[path] = read(path)
        except DataError as error:
            findings.append(Finding(str(path), "schema", str(error)))
    return records, findings


def check_records(records: Mapping[Path, Record], results: Path) -> list[Finding]:
    """Return what is wrong with the records, one by one and beside each other."""
    alone = [
        Finding(str(path), name, problem)
        for path, record in records.items()
        for name, problem in _alone(path.relative_to(results), record)
    ]
    return alone + list(_data_hashes(records))


def _alone(path: Path, record: Record) -> Iterator[tuple[str, str]]:
    """Yield check and problem; the later checks need the shape that the first one asks for."""
    wrong = list(shape_problems(record))
    yield from (("schema", problem) for problem in wrong)
    if not wrong:
        for name, problems in _CHECKS.items():
            yield from ((name, problem) for problem in _checked(problems, path, record))


def _checked(problems: Check, path: Path, record: Record) -> list[str]:
    """Return what a check finds; that it cannot look is a finding too."""
    try:
        return list(problems(path, record))
    except MISSHAPEN as error:
        kind = type(error).__name__
        return [f"the values are not as they should be ({kind}: {one_line(error)})."]


def shape_problems(record: Record) -> Iterator[str]:
    """Yield what keeps the record from being read: names, types and values that are missing."""
    yield from type_problems(record, TYPES)
    if record.cell.kind not in get_args(Kind):
        yield f"'{record.cell.kind}' is no kind of cell."
    if record.cell.system not in (*systems, EVERY_SYSTEM):
        yield f"'{record.cell.system}' is no system of this suite."
    for name in ("slug", "description"):
        if name not in record.hardware:
            yield f"the hardware has no '{name}'."
    for name in REQUIRED.get(record.cell.kind, ()):
        if name not in record.values:
            yield f"the values have no '{name}'."


def _place(path: Path, record: Record) -> Iterator[str]:
    """The file lies where its content belongs."""
    expected = Path(record.stamp.dataset, "records", record.section.folder, record.cell.filename)
    if path != expected:
        yield f"its content belongs into '{expected.as_posix()}'."


def _settings(path: Path, record: Record) -> Iterator[str]:
    """The stamp's digest is that of the stored settings, which agree with themselves."""
    found = digest_of(record.config)
    if found != record.stamp.config_digest:
        yield f"the stamp says {record.stamp.config_digest}, the stored settings give {found}."
    for name, told in (("preset", record.stamp.preset), ("regime", record.regime)):
        if record.config.get(name) != told:
            yield f"the {name} is '{told}' and in the settings '{record.config.get(name)}'."


def _data(path: Path, record: Record) -> Iterator[str]:
    """The stamp and the stored facts name the same data."""
    for name, told in (("name", record.stamp.dataset), ("sha256", record.stamp.dataset_sha256)):
        if record.dataset_facts.get(name, told) != told:
            yield f"the stamp's data {name} is not that of the stored facts."


def _machine(path: Path, record: Record) -> Iterator[str]:
    """The section's machine is the one that the environment was read on."""
    told, found = record.hardware["slug"], record.environment.get("slug")
    if found not in (None, told):
        yield f"the section's machine is '{told}' and that of the environment '{found}'."


def _time(path: Path, record: Record) -> Iterator[str]:
    try:
        aware = datetime.fromisoformat(record.created).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        yield f"'{record.created}' is no time with a zone in ISO 8601."


def _ranks(path: Path, record: Record) -> Iterator[str]:
    """The stored ranks are possible, and the stored recalls are theirs."""
    if record.cell.kind != "accuracy":
        return
    for direction in DIRECTIONS:
        table = record.samples.get(direction, {})
        columns = [table.get(name, []) for name in ("query", "image", "rank")]
        if not columns[0] or len({len(column) for column in columns}) > 1:
            yield f"{direction} lacks queries, images or ranks for some of them."
            continue
        yield from _direction(record, direction, *columns)


def _direction(
    record: Record, direction: str, queries: list[int], images: list[int], ranks: list[int]
) -> Iterator[str]:
    gallery = record.values["gallery"]["captions" if direction == "i2t" else "images"]
    if len(set(queries)) < len(queries):
        yield f"{direction} asks a query twice."
    if min(images) < 0 or max(images) >= record.values["gallery"]["images"]:
        yield f"{direction} names an image that is not there."
    if min(ranks) < 0 or max(ranks) > gallery:
        yield f"{direction} has a rank outside a gallery of {gallery}."
    told = record.values["metrics"].get(direction, {}).get("recall", {})
    for k, recall in told.items():
        found = 100 * float(np.mean(np.asarray(ranks) < int(k)))
        if abs(found - recall) > 1e-6:
            yield f"{direction} R@{k} is {recall:.4f} and {found:.4f} by its ranks."


def _history(path: Path, record: Record) -> Iterator[str]:
    """The stored course of a training is the whole of it and leads to its values."""
    if record.cell.kind == "train" and record.samples:
        yield from problems(record.samples, record.values)


def _load(path: Path, record: Record) -> Iterator[str]:
    """The highest rate is that of a loop that kept to the limit; a limit, if a higher one missed.

    Records from before ``at_least`` do not say the latter.
    """
    if record.cell.kind != "load" or record.values["open"]["rate"] is None:
        return
    found = record.values["open"]
    rate, probes = found["rate"], {probe["offered_rate"]: probe for probe in found["probes"]}
    if rate not in probes:
        yield f"no open loop was run at its highest rate, {rate:.4g}."
    elif not (probes[rate]["latency"][found["percentile"]] or np.inf) <= found["limit_s"]:
        yield f"{found['percentile']} at its highest rate, {rate:.4g}, misses the limit."
    elif found.get("at_least", rate == max(probes)) != (rate == max(probes)):
        yield "whether its highest rate is known from below alone is not what its loops say."


def _turns(path: Path, record: Record) -> Iterator[str]:
    """Full evaluations in turns are of the same rounds, and their sums are those of the samples."""
    if record.cell.kind != "evaluations":
        return
    for name, found in record.values["systems"].items():
        raw, repeats = record.samples[name], found["repeats"]
        if {len(repeats), len(raw["encoding"]), len(raw["ranking"])} != {record.values["rounds"]}:
            yield f"'{name}' was not timed in each of the {record.values['rounds']} rounds."
        elif not np.allclose(np.add(raw["encoding"], raw["ranking"]), repeats):
            yield f"the times of '{name}' are not the sums of its samples."


_CHECKS: Mapping[str, Check] = {
    "place": _place,
    "settings": _settings,
    "data": _data,
    "machine": _machine,
    "time": _time,
    "ranks": _ranks,
    "history": _history,
    "load": _load,
    "turns": _turns,
}


def _data_hashes(records: Mapping[Path, Record]) -> Iterator[Finding]:
    """Yield the records whose data differ from most others of the same data set and preset."""
    groups: dict[tuple[str, str], dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path, record in records.items():
        stamp = record.stamp
        groups[stamp.dataset, stamp.preset][stamp.dataset_sha256].append(path)
    for (dataset, preset), by_hash in groups.items():
        usual = max(by_hash, key=lambda sha256: len(by_hash[sha256]))
        for sha256, paths in by_hash.items():
            if sha256 != usual:
                problem = (
                    f"made with other data ({sha256[:12]}) than most records of "
                    f"{dataset} with preset {preset} ({usual[:12]})."
                )
                yield from (Finding(str(path), "data", problem) for path in paths)
