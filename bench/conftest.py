"""Fixtures of the benchmarks: ``pytest bench/ --benchmark-only``."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.environment import environment
from bench.timed import DEVICES, Benchmark, Timed
from bench.trial import Trial
from cookie.training.precision import has_bfloat16


@pytest.fixture
def timed(benchmark: Benchmark) -> Timed:
    """Time a call on a device, with percentiles, machine state and ratios to rivals."""
    return Timed(benchmark)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """Every device there is."""
    return str(request.param)


@pytest.fixture(autouse=True)
def native(request: pytest.FixtureRequest) -> None:
    """Leave out bfloat16 where it is emulated: a hundredth of the speed, which nobody uses."""
    asked = getattr(request.node, "callspec", None)
    if asked is None or asked.params.get("precision") != "bfloat16":
        return
    if not has_bfloat16(torch.device(asked.params["device"])):
        pytest.skip(f"{asked.params['device']} does not multiply bfloat16 in hardware")


@pytest.fixture(scope="session")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A small data set and untrained models, made when asked for."""
    return Trial(tmp_path_factory.mktemp("cookie"))


def pytest_benchmark_generate_machine_info(config: pytest.Config) -> dict[str, Any]:
    """Describe the machine without what changes from run to run or tells who and where."""
    return environment(DEVICES[-1]).to_dict()
