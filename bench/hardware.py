"""Names of hardware, stable enough to stand in a file name."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch

from bench.measure.timer import Device


def hardware_slug(device: Device = "cpu") -> str:
    """Return a stable name of what ``device`` is, fit for a file name.

    ``cpu-amd-epyc-2c`` (cores that this process may use) or ``nvidia-h100-80gb-hbm3``.
    """
    place = torch.device(device)
    if place.type == "cuda":
        return slug(torch.cuda.get_device_name(place))
    if place.type == "cpu":
        return slug(f"cpu {short_cpu_name(cpu_name())} {core_count()}c")
    return slug(f"{place.type} {platform.machine()}")


def slug(text: str) -> str:
    """Return ``text`` in lower case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def short_cpu_name(name: str) -> str:
    """Return a CPU's model name without trademarks, clock, core count and filler words."""
    name = re.sub(r"\((r|tm|c)\)|@.*$|\b\d+-core\b", " ", name, flags=re.IGNORECASE)
    return re.sub(r"\b(cpu|processor|with .*)\b", " ", name, flags=re.IGNORECASE).strip()


def cpu_name() -> str:
    """Return the CPU's model name, the architecture where the system does not tell it."""
    table = Path("/proc/cpuinfo")
    if table.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", table.read_text(), flags=re.MULTILINE)
        if found:
            return found.group(1).strip()
    return platform.processor() or platform.machine() or "unknown"


def core_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
