"""NVIDIA's management library, found by device; whatever it cannot say is None with a reason."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def read(
    device: torch.device | str, reading: Callable[[Any, Any], T]
) -> tuple[T | None, str | None]:
    """Return ``reading(pynvml, handle)`` of ``device``, or None and why there is none.

    The device is found by its UUID, since ``CUDA_VISIBLE_DEVICES`` renumbers what torch sees
    and not what NVML does.
    """
    place = torch.device(device)
    if place.type != "cuda":
        return None, f"NVML knows no {place.type}"
    try:
        pynvml = importlib.import_module("pynvml")
    except ImportError:
        return None, "nvidia-ml-py is not installed"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return None, f"NVML does not start: {error}"
    try:
        return reading(pynvml, _handle(pynvml, place)), None
    except pynvml.NVMLError as error:
        return None, f"NVML: {error}"
    finally:
        pynvml.nvmlShutdown()


def _handle(pynvml: Any, place: torch.device) -> Any:  # noqa: ANN401 -- an untyped library
    uuid = str(torch.cuda.get_device_properties(place).uuid)
    name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    return pynvml.nvmlDeviceGetHandleByUUID(name)


def used_bytes(device: torch.device | str) -> tuple[int | None, str | None]:
    """Return the device memory in use by all processes, contexts and libraries included."""
    return read(device, lambda nvml, handle: int(nvml.nvmlDeviceGetMemoryInfo(handle).used))


def energy_joules(device: torch.device | str) -> tuple[float | None, str | None]:
    """Return the energy that ``device`` has used since its driver was loaded."""
    return read(
        device, lambda nvml, handle: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) * 1e-3
    )


def busy_share(device: torch.device | str) -> tuple[float | None, str | None]:
    """Return the share of NVML's last sampling period, a second at most, that ``device`` worked."""
    return read(device, lambda nvml, handle: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)
