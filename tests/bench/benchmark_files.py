"""Hand-made files as ``pytest bench/ --benchmark-json`` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MACHINE: dict[str, Any] = {
    "cpu": "Test CPU",
    "cores": 2,
    "memory_bytes": 8 * 2**30,
    "gpu": None,
    "python": "3.11.7",
    "packages": {"torch": "2.15.0"},
    "threads": {"torch": 2},
    "commit": {"sha": "0123456789abcdef", "dirty": True},
}


def state(load: float | None = 0.5, throttled: list[str] | None = None) -> dict[str, Any]:
    """Return the state of a machine."""
    return {
        "load_average": None if load is None else [load, 9.0, 9.0],
        "available_bytes": 4 * 2**30,
        "cpu_mhz": 2600.0,
        "gpu_mhz": None,
        "throttled": throttled,
    }


def times(median: float = 0.02, samples: int = 100) -> dict[str, Any]:
    """Return a summary of ``samples`` times whose median and upper percentiles are known."""
    return {
        "n": samples,
        "median_interval": {"low": 0.9 * median, "high": 1.1 * median, "confidence": 0.95},
        "p50": median,
        "p90": 2 * median if samples >= 44 else None,
        "p95": 3 * median if samples >= 90 else None,
        "p99": 4 * median if samples >= 459 else None,
    }


def ratio(rival: str, median: float, low: float | None = None) -> dict[str, Any]:
    """Return a ratio; with ``low`` it has an interval as wide to the other side."""
    interval = None if low is None else {"low": low, "high": 2 * median - low, "confidence": 0.95}
    return {
        "numerator": "this",
        "denominator": rival,
        "median": median,
        "interval": interval,
        "rounds": 3 if low is None else 12,
    }


def entry(fullname: str, group: str | None = None, **notes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return one benchmark; ``notes`` replace or add to what is noted of it."""
    return {
        "group": group,
        "name": fullname.rpartition("::")[2],
        "fullname": fullname,
        "stats": {"median": 1.0},
        "extra_info": {
            "device": "cpu",
            "hardware": "cpu-test-2c",
            "first_seconds": 0.5,
            "state_before": state(),
            "state_after": state(),
            "request": times(),
            "kernel": None,
            "items": 8,
            "items_per_second": 400.0,
            "ratios": [],
            **notes,
        },
    }


def stored(folder: Path, *entries: dict[str, Any], **changes: Any) -> Path:  # noqa: ANN401
    """Write a file of benchmarks; ``changes`` replace parts of the whole."""
    path = folder / "speed.json"
    path.write_text(json.dumps({"machine_info": MACHINE, "benchmarks": list(entries)} | changes))
    return path
