"""Where a measurement was made: complete, stable, and silent about people and places."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bench import environment as module
from bench import hardware
from bench.environment import commit, environment, machine_state, throttle_reasons
from bench.hardware import describe, hardware_slug, short_cpu_name, slug


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("AMD EPYC", "amd-epyc"),
        ("AMD EPYC 7763 64-Core Processor", "amd-epyc-7763"),
        ("Intel(R) Xeon(R) Platinum 8480C CPU @ 2.00GHz", "intel-xeon-platinum-8480c"),
        ("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", "intel-core-i7-8650u"),
        ("AMD Ryzen 7 5800H with Radeon Graphics", "amd-ryzen-7-5800h"),
        ("13th Gen Intel(R) Core(TM) i9-13900K", "13th-gen-intel-core-i9-13900k"),
        ("Apple M2 Max", "apple-m2-max"),
    ],
)
def test_cpu_names_lose_what_says_nothing(name: str, short: str) -> None:
    assert slug(short_cpu_name(name)) == short


def test_the_slug_of_a_cpu_names_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cpu_name", lambda: "AMD EPYC")
    monkeypatch.setattr(hardware, "core_count", lambda: 2)
    monkeypatch.setattr(hardware, "has_bfloat16", lambda _: True)
    assert hardware_slug("cpu") == "cpu-amd-epyc-2c"
    assert describe("cpu") == "2 cores of AMD EPYC"


def test_cpus_of_one_name_that_compute_differently_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cpu_name", lambda: "AMD EPYC")
    monkeypatch.setattr(hardware, "core_count", lambda: 2)
    monkeypatch.setattr(hardware, "has_bfloat16", lambda _: False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert hardware_slug("cpu") == "cpu-amd-epyc-2c-avx2"
    assert describe("cpu") == "2 cores of AMD EPYC (AVX2, no bfloat16)"


def test_a_gpu_is_described_with_the_cpu_that_feeds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100")
    monkeypatch.setattr(hardware, "cpu_name", lambda: "AMD EPYC")
    monkeypatch.setattr(hardware, "core_count", lambda: 16)
    assert describe("cuda") == "NVIDIA H100 (16 cores of AMD EPYC)"


def test_the_slug_of_a_gpu_is_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100 80GB HBM3")
    assert hardware_slug("cuda") == "nvidia-h100-80gb-hbm3"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "GeForce GTX 1080 Ti / PCIe")
    assert hardware_slug("cuda:0") == "geforce-gtx-1080-ti-pcie"


def test_this_machines_slug_is_stable_and_fit_for_a_file(tmp_path: Path) -> None:
    got = hardware_slug()
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", got)
    assert got == hardware_slug(torch.device("cpu"))
    (tmp_path / got).touch()


def test_nothing_tells_who_or_where() -> None:
    stored = json.dumps([environment().to_dict(), machine_state().to_dict()])
    assert str(Path.cwd()) not in stored
    assert str(Path(module.__file__).parent) not in stored
    assert f'"{platform.node()}"' not in stored
    assert f'"{getpass.getuser()}"' not in stored
    assert not re.search(r'"/\w', stored), "an absolute path"


def test_the_environment_goes_to_json_and_is_complete() -> None:
    got = json.loads(json.dumps(environment().to_dict()))
    assert got["python"] == platform.python_version()
    assert got["packages"]["torch"] == torch.__version__.split("+")[0]
    assert got["threads"]["torch"] == torch.get_num_threads()
    assert 1 <= got["cores"] <= (os.cpu_count() or 1)
    assert got["memory_bytes"] > 1 << 28
    assert (got["gpu"], got["driver"]) == (None, None)


def test_thread_variables_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    threads = environment().threads
    assert threads["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in threads


def test_packages_that_are_absent_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert set(environment().packages) == {"numpy"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a git checkout that holds a stand-in of the module."""

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    source = tmp_path / "environment.py"
    source.write_text("first\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr(module, "__file__", str(source))
    return tmp_path


def test_a_clean_commit(checkout: Path) -> None:
    got = commit()
    assert got.sha is not None
    assert re.fullmatch("[0-9a-f]{40}", got.sha)
    assert got.dirty is False


def test_a_changed_file_is_dirty_and_a_new_one_is_not(checkout: Path) -> None:
    (checkout / "results.md").write_text("new\n")
    assert commit().dirty is False
    (checkout / "environment.py").write_text("second\n")
    assert commit().dirty is True


def test_outside_a_checkout_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "__file__", str(tmp_path / "environment.py"))
    assert (commit().sha, commit().dirty) == (None, None)


def test_a_package_inside_another_projects_checkout_is_not_that_project(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = checkout / "site-packages" / "environment.py"
    installed.parent.mkdir()
    installed.touch()
    monkeypatch.setattr(module, "__file__", str(installed))
    assert commit().sha is None


def test_without_git_there_is_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert (commit().sha, commit().dirty) == (None, None)


def test_the_state_of_a_machine_without_a_gpu_has_none_and_a_reason() -> None:
    got = json.loads(json.dumps(machine_state("cpu").to_dict()))
    assert got["available_bytes"] > 0
    assert len(got["load_average"]) == 3
    assert (got["gpu_mhz"], got["throttled"]) == (None, None)
    assert got["gpu_reason"] == "NVML knows no cpu"


class NVMLError(Exception):
    """The library's error."""


def test_the_state_of_a_gpu_keeps_what_the_card_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: str) -> int:
        raise NVMLError

    library = SimpleNamespace(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        NVML_TEMPERATURE_GPU=0,
        nvmlDeviceGetClockInfo=lambda handle, kind: kind * 1000,
        nvmlDeviceGetTemperature=lambda handle, sensor: 60,
        nvmlDeviceGetPowerUsage=refuse,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 0x4 | 0x1,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [1, 2],
    )
    monkeypatch.setattr(module.nvml, "read", lambda device, ask: (ask(library, "card"), None))
    got = machine_state("cuda")
    assert (got.gpu_mhz, got.gpu_memory_mhz, got.gpu_celsius) == (1000, 2000, 60)
    assert (got.gpu_watts, got.gpu_processes) == (None, 2)
    assert got.throttled == ("software power cap",)
    assert got.gpu_reason is None
    assert got.to_dict()["throttled"] == ["software power cap"]


def test_throttling_is_told_apart_from_idleness() -> None:
    assert throttle_reasons(0x0) == throttle_reasons(0x1) == ()
    assert throttle_reasons(0x40 | 0x8) == ("hardware slowdown", "hardware thermal")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_gpu_is_described() -> None:
    got = environment("cuda")
    assert got.gpu == torch.cuda.get_device_name()
    assert got.slug == slug(got.gpu)
    assert (got.gpu_memory_bytes or 0) > 1 << 30
