"""NVML without a GPU: reasons, and the right device by its UUID, shown with a made library."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from cookie import nvml


class NVMLError(Exception):
    """The library's error."""


class FakeNVML:
    """Two cards, of which NVML's first is not torch's first."""

    NVMLError = NVMLError

    def __init__(self) -> None:
        self.open = 0
        self.used = {"GPU-aaaa": 111, "GPU-bbbb": 222}

    def nvmlInit(self) -> None:  # noqa: N802 -- the library's spelling
        """Start."""
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        """End."""
        self.open -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        """Return the handle; an unknown card is an error."""
        if uuid not in self.used:
            raise NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:  # noqa: N802
        """Return memory in bytes."""
        return SimpleNamespace(used=self.used[handle])

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> SimpleNamespace:  # noqa: N802
        """Return percents."""
        return SimpleNamespace(gpu=97, memory=40)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        """Return millijoules; the first card has no counter."""
        if handle == "GPU-aaaa":
            raise NVMLError("Not Supported")
        return 1500


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeNVML:
    fake = FakeNVML()
    monkeypatch.setitem(sys.modules, "pynvml", fake)  # type: ignore[arg-type]
    uuids = {"cuda:0": "bbbb", "cuda:1": "GPU-aaaa", "cuda:2": "cccc"}
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda place: SimpleNamespace(uuid=uuids[str(place)]),
    )
    return fake


def test_the_device_is_found_by_its_uuid(library: FakeNVML) -> None:
    assert nvml.used_bytes("cuda:0") == (222, None)
    assert nvml.used_bytes("cuda:1") == (111, None)
    assert library.open == 0


def test_energy_is_in_joules(library: FakeNVML) -> None:
    assert nvml.energy_joules("cuda:0") == (1.5, None)
    assert library.open == 0


def test_work_is_a_share(library: FakeNVML) -> None:
    assert nvml.busy_share("cuda:0") == (0.97, None)


def test_what_a_card_cannot_say_is_none_with_a_reason(library: FakeNVML) -> None:
    assert nvml.energy_joules("cuda:1") == (None, "NVML: Not Supported")
    assert nvml.used_bytes("cuda:2") == (None, "NVML: Not Found")
    assert library.open == 0


def test_a_library_that_does_not_start_is_a_reason(
    library: FakeNVML, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise NVMLError("Driver Not Loaded")

    monkeypatch.setattr(library, "nvmlInit", refuse)
    assert nvml.used_bytes("cuda:0") == (None, "NVML does not start: Driver Not Loaded")


def test_a_missing_package_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.used_bytes("cuda:0") == (None, "nvidia-ml-py is not installed")


def test_a_cpu_is_unknown_to_nvml() -> None:
    assert nvml.energy_joules("cpu") == (None, "NVML knows no cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_card_answers() -> None:
    used, reason = nvml.used_bytes("cuda")
    assert reason is None
    assert used is not None
    assert used > 0
