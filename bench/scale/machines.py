"""Machines: what makers publish of theirs, and what records hold of the ones used here."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.records import Record, read_all
from bench.scale.scenario import Scenario

PATH = Path(__file__).with_name("machines.csv")


@dataclass(frozen=True, slots=True)
class Machine:
    """A GPU, or the processor and memory of a server.

    Attributes:
        name: as it is printed. gpu: whether it is one.
        flops: of dense matrix products a second, in ``precision``; None where the maker states
            none. precision: bfloat16, or float32 where that is emulated.
        bytes_a_second: of its memory. memory: bytes of it.
        source: where the peaks are from, with a link where they are published.
        measured: here, and not published.
    """

    name: str
    gpu: bool
    flops: float | None
    bytes_a_second: float
    memory: float
    source: str
    measured: bool = False
    precision: str = "bfloat16"

    def computing(self, flops: float, scenario: Scenario) -> float | None:
        """Return the seconds that ``flops`` take at the assumed utilization."""
        return None if self.flops is None else flops / (scenario.utilization * self.flops)

    def reading(self, size: float, scenario: Scenario) -> float:
        """Return the seconds that reading ``size`` bytes once takes."""
        return size / (scenario.bandwidth * self.bytes_a_second)

    def holding(self, size: float, scenario: Scenario) -> int:
        """Return how many such machines hold ``size`` bytes."""
        return max(1, int(-(-size // (scenario.memory * self.memory))))


def published() -> list[Machine]:
    """Return the machines of ``machines.csv``."""
    with PATH.open(encoding="utf-8", newline="") as file:
        return [
            Machine(
                row["name"],
                row["kind"] == "GPU",
                float(row["bf16_flops"]) if row["bf16_flops"] else None,
                float(row["bytes_a_second"]),
                float(row["memory_bytes"]),
                f"published: [{row['source']}]({row['link']})",
            )
            for row in csv.DictReader(file)
        ]


def measured(results: Path) -> list[Machine]:
    """Return the machines whose peaks the records below ``results`` hold, the newest of each."""
    newest: dict[str, Record] = {}
    for record in sorted(_with_peaks(results), key=lambda record: record.created):
        newest[record.hardware["slug"]] = record
    return [_of_record(record) for record in newest.values()]


def _with_peaks(results: Path) -> Iterator[Record]:
    for folder in sorted(path.parent for path in results.glob("*/records")):
        for record in read_all(folder):
            if record.values.get("cost", {}).get("peaks", {}).get("copy_bytes"):
                yield record


def _of_record(record: Record) -> Machine:
    peaks, environment = record.values["cost"]["peaks"], record.environment
    gpu, products = peaks["device"] == "cuda", peaks["matmul_flops"]
    precision = "bfloat16" if "bfloat16" in products else "float32"
    return Machine(
        record.hardware["description"],
        gpu,
        products[precision],
        peaks["copy_bytes"],
        environment["gpu_memory_bytes" if gpu else "memory_bytes"],
        "measured: matrix product and copy, as in table 2",
        measured=True,
        precision=precision,
    )
