"""What ``pytest bench/ --benchmark-json FILE`` wrote, read back and checked.

pytest-benchmark's own statistics are left aside: what :mod:`bench.timed` notes beside them says
the same with percentiles, ratios and the state of the machine. Nothing here needs torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bench.measure.percentiles import SHOWN, name
from cookie.errors import DataError

READ = {
    "device",
    "first_seconds",
    "hardware",
    "items",
    "items_per_second",
    "kernel",
    "ratios",
    "request",
    "share_of_matmul_peak",
    "state_after",
    "state_before",
}
"""Notes that have a place of their own; all others are a benchmark's remarks."""
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long a benchmark's call takes as a rival's, measured in turns.

    Attributes:
        rival: its name. median: of the rounds' ratios. rounds: how many.
        interval: 95 % interval of the median, None where the rounds are too few.
    """

    rival: str
    median: float
    interval: Span | None
    rounds: int


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark; times in seconds.

    Attributes:
        group: what it is about. name: with its parameters. device: where it ran.
        samples: how many calls were timed one by one.
        percentiles: name -> time, None where the samples are too few.
        interval: 95 % interval of the median, None likewise.
        kernel: median device time, None off the GPU.
        first: the first call, with set-up and compilation.
        items: a call. rate: items a second.
        ratios: to its rivals. share: of the matrix product peak, None where it was not noted.
        states: of the machine before and after. remarks: whatever else was noted.
    """

    group: str
    name: str
    device: str
    samples: int
    percentiles: Mapping[str, float | None]
    interval: Span | None
    kernel: float | None
    first: float
    items: int
    rate: float
    ratios: Sequence[Ratio]
    share: float | None
    states: tuple[Mapping[str, Any], Mapping[str, Any]]
    remarks: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """Everything in a file: the machine, as :func:`bench.environment.environment` says it."""

    machine: Mapping[str, Any]
    benchmarks: Sequence[Benchmark]


def read_benchmarks(path: Path) -> BenchmarkRun:
    """Return what is in ``path``.

    Raises:
        DataError: there is no such file, or something else wrote it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = [_benchmark(entry) for entry in content["benchmarks"]]
        run = BenchmarkRun(_machine(content["machine_info"]), found)
    except OSError as error:
        raise DataError(f"Cannot read '{path}': {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(
            f"'{path}' was not written by this suite: make one with pytest bench/ "
            "--benchmark-only --benchmark-json FILE."
        ) from None
    if not run.benchmarks:
        raise DataError(f"'{path}' holds no benchmark: none was chosen, or all failed.")
    return run


def _benchmark(entry: Mapping[str, Any]) -> Benchmark:
    notes = entry["extra_info"]
    request, kernel, share = notes["request"], notes["kernel"], notes.get("share_of_matmul_peak")
    return Benchmark(
        group=_group(entry),
        name=str(entry["name"]).removeprefix("test_"),
        device=str(notes["device"]),
        samples=int(request["n"]),
        percentiles={name(part): _optional(request[name(part)]) for part in SHOWN},
        interval=_interval(request["median_interval"]),
        kernel=None if kernel is None else _number(kernel["p50"]),
        first=_number(notes["first_seconds"]),
        items=int(notes["items"]),
        rate=_number(notes["items_per_second"]),
        ratios=[_ratio(each) for each in notes["ratios"]],
        share=_optional(share),
        states=(_state(notes["state_before"]), _state(notes["state_after"])),
        remarks={key: value for key, value in notes.items() if key not in READ},
    )


def _group(entry: Mapping[str, Any]) -> str:
    """Return the group that a benchmark names, or what its file is called after."""
    file = PurePosixPath(str(entry["fullname"]).partition("::")[0])
    return str(entry["group"] or file.stem.removeprefix("test_").replace("_", " "))


def _ratio(entry: Mapping[str, Any]) -> Ratio:
    return Ratio(
        str(entry["denominator"]),
        _number(entry["median"]),
        _interval(entry["interval"]),
        int(entry["rounds"]),
    )


def _machine(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``facts`` if they are this suite's: pytest-benchmark's own lack these."""
    for key in ("cpu", "cores", "memory_bytes", "gpu", "packages", "threads", "commit"):
        facts[key]
    _number(facts["memory_bytes"])
    return {**facts, "cores": int(facts["cores"])}


def _state(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the state of the machine; the numbers that are read of it are numbers."""
    load, throttled = facts["load_average"], facts["throttled"]
    return {
        "load": None if load is None else _number(load[0]),
        "cpu_mhz": _optional(facts["cpu_mhz"]),
        "gpu_mhz": _optional(facts["gpu_mhz"]),
        "available_bytes": _number(facts["available_bytes"]),
        "throttled": [str(reason) for reason in throttled or ()],
    }


def _interval(bounds: Mapping[str, Any] | None) -> Span | None:
    return None if bounds is None else (_number(bounds["low"]), _number(bounds["high"]))


def _optional(value: object) -> float | None:
    return None if value is None else _number(value)


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return float(value)
