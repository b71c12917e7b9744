"""What runs on a GPU runs on one that only pretends to be there: see ``tests/pretend_gpu.py``."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import bench.ablation.variants  # noqa: F401  the rows of the ablation register themselves
from bench.cells import efficiency
from bench.effort import Effort
from bench.findings.matching import flatten
from bench.material.workshop import Setup, Workshop, resolve_config
from bench.measure import peaks
from bench.measure.latency import LatencySamples, measure_latency
from bench.measure.memory import MemoryUse, measure_device_memory
from bench.measure.timer import Run
from bench.records import Cell, Kind
from bench.running.cell_runners import run_here
from bench.running.protocols import protocol
from cookie.config import Config
from cookie.training.distributed import Processes
from cookie.training.order import pair_batches
from cookie.training.step import Stepper
from tests.pretend_gpu import GPU, MixedDevicesError, events, pretend_gpu

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real GPU")

TRAINED = ("dual_stream", "cookie", "single_stream")
LEARNERS = (*TRAINED, "cookie_momentum", "cookie_delete", "two_views", "unshared")
QUICK = Effort(
    repeat=0.0, part=0.01, parts=1, latency=0.1, rounds=1, stretch=0.01, repetitions=1, call=0.1
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose trainings were done on the GPU, and copied for the CPU."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIE_HOME", str(folder))
        with pretend_gpu(patch):
            gpu = smoke("cuda")
            for system in TRAINED:
                run_here(gpu, Cell("train", system, 0), {})
            folders = {name: gpu.run_dir(name, 0) for name in TRAINED}
        for name, trained in folders.items():
            shutil.copytree(trained, smoke("cpu").run_dir(name, 0))
        yield folder


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(home))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with pretend_gpu(monkeypatch):
        yield


def smoke(device: str, config: Config | None = None) -> Workshop:
    return Workshop(Setup("scenes", "smoke", device, config=config))


def steady() -> Config:
    """Settings in which nothing is left out by chance: a CPU draws in another order then."""
    config = resolve_config("smoke", "cpu")
    return dataclasses.replace(
        config,
        text=dataclasses.replace(config.text, dropout=0.0),
        head=dataclasses.replace(config.head, dropout=0.0),
        augment=dataclasses.replace(config.augment, color=0.4, flip=0.5),
    )


def losses(system: str, device: str, steps: int = 2) -> tuple[Tensor, set[str]]:
    """Return what the steps log, and the kinds of what they did beside computing."""
    workshop = smoke(device, steady())
    module = workshop.untrained(system, 0).to(device).train()
    corpus, config = workshop.training_split(system, module), workshop.settings(system)
    stepper = Stepper(module, corpus, config, 0, Processes(), workshop.device)
    batches = pair_batches(corpus.caption_image, config.train.batch_size, 0, 0)
    events.clear()
    found = []
    for step, captions in zip(range(steps), batches, strict=False):
        found.append(stepper.step(step, stepper.batch(step, captions))[1])
    met: set[str] = {event.kind for event in events}  # before the results are fetched
    return torch.stack(found).cpu(), met


def results(kind: Kind, system: str, device: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return values and samples of a cell, measured for as short a time as possible."""
    workshop, cell = smoke(device), Cell(kind, system, 0)
    workshop.effort = QUICK
    found = run_here(workshop, cell, protocol(workshop, 20.0, cell, [cell]))
    return dict(found.values), dict(found.samples)


@pytest.mark.usefixtures("gpu")
def test_operands_of_two_places_and_arrays_of_device_memory_are_refused():
    there, here = torch.ones(2, device=GPU), torch.ones(2)
    assert there.is_cuda
    assert there.device == (there + 1).device == here.to("cuda").device == GPU
    with pytest.raises(MixedDevicesError, match=r"aten::add: a tensor \(2,\) on the CPU"):
        there + here
    with pytest.raises(TypeError, match=r"use Tensor\.cpu"):
        there.numpy()
    assert (there + torch.tensor(1.0)).cpu().tolist() == [2.0, 2.0]


@pytest.mark.usefixtures("gpu")
def test_what_crosses_and_what_waits_is_written_down():
    there = torch.arange(3.0).to(GPU)
    assert there.sum().item() == 3
    assert there[there > 0].tolist() == [1, 2]
    kinds = [(event.kind, event.name) for event in events]
    assert kinds == [
        ("to the GPU", "copy"),
        ("wait", "aten::_local_scalar_dense"),
        ("wait", "aten::index"),
        ("to the host", "copy"),
    ]


@pytest.mark.usefixtures("gpu")
def test_gradients_come_back_to_where_the_weights_are():
    layer = torch.nn.Linear(2, 1).to(GPU)
    weights = layer.weight.detach().cpu()
    inputs = torch.ones(1, 2, requires_grad=True)
    layer(inputs.to(GPU)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.device == GPU
    assert inputs.grad is not None
    assert not inputs.grad.is_cuda
    torch.testing.assert_close(inputs.grad, weights)


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("system", LEARNERS)
def test_steps_lose_what_they_lose_on_a_cpu_and_never_wait(
    system: str, monkeypatch: pytest.MonkeyPatch
):
    expected, _ = losses(system, "cpu")
    with pretend_gpu(monkeypatch):
        found, met = losses(system, "cuda")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert met == {"to the GPU"}


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(
    ("kind", "system"),
    [
        ("accuracy", "ridge_floor"),
        ("accuracy", "cookie"),
        ("accuracy", "single_stream"),
        ("accuracy", "two_stage"),
        ("images", "cookie"),
        ("texts", "cookie"),
    ],
)
def test_trained_weights_find_the_same_on_both(
    kind: Kind, system: str, monkeypatch: pytest.MonkeyPatch
):
    expected = results(kind, system, "cpu")
    with pretend_gpu(monkeypatch):
        found = results(kind, system, "cuda")
    assert found[0].keys() == expected[0].keys()
    columns, others = dict(flatten(found[1])), dict(flatten(expected[1]))
    assert columns
    assert columns.keys() == others.keys()
    for name, column in columns.items():
        same = np.isclose(column, others[name], rtol=1e-4, atol=1e-5)
        assert same.mean() > 0.97, name  # scores that are almost equal may change places


@pytest.mark.usefixtures("at_home", "gpu")
@pytest.mark.parametrize("system", ["cookie", "single_stream_naive", "two_stage"])
def test_efficiency_is_measured_with_all_columns(system: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(peaks.SIZES, "cuda", 64)
    monkeypatch.setitem(peaks.COPY_BYTES, "cuda", 1 << 16)
    monkeypatch.setattr(efficiency, "fresh_memory", memory_here)
    monkeypatch.setattr(efficiency, "measure_latency", three_times)
    values, samples = results("efficiency", system, "cuda")
    assert values["cost"]["share_of_compute"] > 0
    if system == "single_stream_naive":
        return
    assert values["memory"]["allocated"]["peak_bytes"] == 3 << 20
    assert values["throughput"]["queries_per_second"] > 0
    assert values["one_query"]["kernel"]["n"] == len(samples["one_query_kernel"])
    assert len(samples["one_query"]) == len(samples["one_query_kernel"])


def three_times(run: Run, *, device: torch.device, **_: object) -> LatencySamples:
    return measure_latency(run, device=device, warmup=1, samples=3)


def memory_here(
    workshop: Workshop, build: Callable[..., Run], *arguments: object, timeout_s: float
) -> MemoryUse:
    """Measure in this process: a fresh one would have no GPU to pretend with."""
    run = build(workshop.setup, *arguments, torch.get_num_threads())
    return measure_device_memory(run, device=workshop.device)
