"""What a measurement was made on: hardware, software, threads, and the state of the machine.

Nothing here tells who ran it or where: no host, user or folder names.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch

from bench.hardware import core_count, cpu_name, hardware_slug, instructions
from bench.measure.timer import Device
from cookie import nvml
from cookie.training.precision import has_bfloat16

__all__ = [
    "Commit",
    "Environment",
    "MachineState",
    "commit",
    "environment",
    "hardware_slug",
    "machine_state",
]

PACKAGES = (
    "faiss-cpu",
    "kornia",
    "numpy",
    "open_clip_torch",
    "openvino",
    "pillow",
    "scipy",
    "timm",
    "tokenizers",
    "torch",
    "torchvision",
    "transformers",
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
THROTTLE_REASONS = {
    0x2: "application clocks",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal",
    0x40: "hardware thermal",
    0x80: "hardware power brake",
}
"""NVML's bits for a clock below its maximum; idleness (0x1) is not among them."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The state of the source.

    Attributes:
        sha: commit, None outside a git checkout.
        dirty: whether tracked files differ from it; None where there is no commit.
    """

    sha: str | None
    dirty: bool | None


@dataclass(frozen=True, slots=True)
class Environment:
    """What does not change while a process runs.

    Attributes:
        slug: short stable name of the hardware, fit for a file name.
        cpu: model name; instructions: its widest vectors that torch uses; bfloat16: whether the
            device multiplies matrices of it; cores: those this process may use; memory_bytes: of
            the machine.
        gpu: name, None without; gpu_memory_bytes, driver, cuda likewise.
        float32_matmul: how the GPU multiplies float32 matrices: ``tf32``, ``ieee`` or ``none``
            (nothing was asked for, which is ``ieee``).
        threads: of torch, and the environment variables that set them.
        packages: name -> version, installed ones alone.
    """

    slug: str
    cpu: str
    instructions: str
    bfloat16: bool
    cores: int
    memory_bytes: int
    python: str
    system: str
    commit: Commit
    packages: Mapping[str, str]
    threads: Mapping[str, int | str]
    gpu: str | None = None
    gpu_memory_bytes: int | None = None
    driver: str | None = None
    cuda: str | None = None
    float32_matmul: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, JSON-able."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MachineState:
    """What changes while a process runs; take one before and one after a measurement.

    Attributes:
        load_average: runnable processes over 1, 5 and 15 minutes; None where there is none.
        available_bytes: memory free for new work.
        cpu_mhz: present clock, mean over cores.
        gpu_mhz, gpu_memory_mhz, gpu_celsius, gpu_watts: present values; None without a GPU.
        throttled: why the GPU's clock is held back, if it is.
        gpu_processes: processes at work on the GPU, this one among them.
        gpu_reason: why the GPU fields are None.
    """

    load_average: tuple[float, float, float] | None
    available_bytes: int
    cpu_mhz: float | None
    gpu_mhz: int | None = None
    gpu_memory_mhz: int | None = None
    gpu_celsius: int | None = None
    gpu_watts: float | None = None
    throttled: tuple[str, ...] | None = None
    gpu_processes: int | None = None
    gpu_reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, JSON-able."""
        lists = {"load_average": self.load_average, "throttled": self.throttled}
        return asdict(self) | {
            name: None if value is None else list(value) for name, value in lists.items()
        }


def commit() -> Commit:
    """Return the commit of the checkout that this file lies in."""
    here = Path(__file__).resolve()
    if _git("ls-files", "--error-unmatch", here.name, folder=here.parent) is None:
        return Commit(None, None)  # installed as a package, perhaps inside another checkout
    changes = _git("status", "--porcelain", "--untracked-files=no", folder=here.parent)
    return Commit(_git("rev-parse", "HEAD", folder=here.parent), bool(changes))


def _git(*arguments: str, folder: Path) -> str | None:
    """Return what git says, None where it fails or is not installed."""
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def environment(device: Device = "cpu") -> Environment:
    """Return what this process runs on."""
    return Environment(
        slug=hardware_slug(device),
        cpu=cpu_name(),
        instructions=instructions(),
        bfloat16=has_bfloat16(torch.device(device)),
        cores=core_count(),
        memory_bytes=psutil.virtual_memory().total,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        commit=commit(),
        packages=_packages(),
        threads=_threads(),
        **_gpu(torch.device(device)),
    )


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _threads() -> dict[str, int | str]:
    own = {"torch": torch.get_num_threads(), "torch_interop": torch.get_num_interop_threads()}
    return own | {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}


def _gpu(place: torch.device) -> dict[str, Any]:
    if place.type != "cuda":
        return {}
    facts = torch.cuda.get_device_properties(place)
    driver, _ = nvml.read(place, lambda library, _: str(library.nvmlSystemGetDriverVersion()))
    return {
        "gpu": facts.name,
        "gpu_memory_bytes": facts.total_memory,
        "driver": driver,
        "cuda": torch.version.cuda,
        "float32_matmul": torch.backends.cuda.matmul.fp32_precision,
    }


def machine_state(device: Device = "cpu") -> MachineState:
    """Return the present load, clocks and throttling."""
    gpu, reason = nvml.read(device, _gpu_state)
    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    return MachineState(
        load_average=os.getloadavg() if hasattr(os, "getloadavg") else None,
        available_bytes=psutil.virtual_memory().available,
        cpu_mhz=None if frequency is None else frequency.current,
        gpu_reason=reason,
        **(gpu or {}),
    )


def _gpu_state(library: Any, handle: Any) -> dict[str, Any]:  # noqa: ANN401 -- untyped library
    def ask(question: str, *details: Any) -> Any:  # noqa: ANN401
        try:
            return getattr(library, question)(handle, *details)
        except library.NVMLError:  # not every card and container answers everything
            return None

    watts, bits = ask("nvmlDeviceGetPowerUsage"), ask("nvmlDeviceGetCurrentClocksThrottleReasons")
    processes = ask("nvmlDeviceGetComputeRunningProcesses")
    return {
        "gpu_mhz": ask("nvmlDeviceGetClockInfo", library.NVML_CLOCK_SM),
        "gpu_memory_mhz": ask("nvmlDeviceGetClockInfo", library.NVML_CLOCK_MEM),
        "gpu_celsius": ask("nvmlDeviceGetTemperature", library.NVML_TEMPERATURE_GPU),
        "gpu_watts": None if watts is None else watts * 1e-3,
        "throttled": None if bits is None else throttle_reasons(bits),
        "gpu_processes": None if processes is None else len(processes),
    }


def throttle_reasons(bits: int) -> tuple[str, ...]:
    """Return what NVML's throttle ``bits`` say, idleness left out."""
    return tuple(reason for bit, reason in THROTTLE_REASONS.items() if bits & bit)
