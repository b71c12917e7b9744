"""Names of hardware, stable enough to stand in a file name."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch

from bench.measure.timer import Device
from cookie.training.precision import has_bfloat16


def hardware_slug(device: Device = "cpu") -> str:
    """Return a stable name of what ``device`` is, fit for a file name.

    ``cpu-amd-epyc-2c`` (cores that this process may use), ``cpu-amd-epyc-2c-avx2`` where the CPU
    does not multiply bfloat16, or ``nvidia-h100-80gb-hbm3``.
    """
    place = torch.device(device)
    if place.type == "cuda":
        return slug(torch.cuda.get_device_name(place))
    if place.type == "cpu":
        cpu = f"cpu {short_cpu_name(cpu_name())} {core_count()}c"
        return slug(cpu if has_bfloat16(place) else f"{cpu} {instructions()}")
    return slug(f"{place.type} {platform.machine()}")


def describe(device: Device = "cpu") -> str:
    """Return in words what ``device`` is: ``2 cores of AMD EPYC (AVX2, no bfloat16)``."""
    place, cpu = torch.device(device), f"{core_count()} cores of {cpu_name()}"
    if place.type == "cuda":
        return f"{torch.cuda.get_device_name(place)} ({cpu})"
    if place.type == "cpu" and not has_bfloat16(place):
        return f"{cpu} ({instructions()}, no bfloat16)"
    return cpu


def instructions() -> str:
    """Return the CPU's widest vector instructions that torch has programs for, as torch says it.

    Virtual machines hide which model a CPU is, so its name alone does not tell machines apart of
    which one is ten times as fast. Those that multiply bfloat16 matrices compute in it, the others
    in float32; among these, the vectors make the difference.
    """
    return str(torch.backends.cpu.get_cpu_capability())


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
