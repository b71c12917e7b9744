"""Processes: one is free, several compute what one would."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed.nn
from torch import Tensor, nn

from cookie.errors import UserError
from cookie.interfaces import ImageBatch, LossOutput, TextBatch, TrainBatch
from cookie.runs import load_run
from cookie.training.distributed import Processes, current
from cookie.training.gradients import Backpropagation
from cookie.training.group import local_device, process_group
from cookie.training.journal import read_history
from tests.cookie.training.peers import Case, build_cookie, gradient_of, run_peers, train_cases


def test_one_process_owns_everything():
    alone = current()
    assert (alone.rank, alone.world, alone.main) == (0, 1, True)
    assert alone.share(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    model = nn.Linear(2, 2)
    alone.average_gradients(model.parameters())
    alone.wait()
    assert model.weight.grad is None


@pytest.mark.parametrize("count", [3, 12, 13, 14])
def test_shares_are_disjoint_complete_and_in_order(count: int):
    parts = [Processes(rank, 3).share(np.arange(count)) for rank in range(3)]
    assert [len(part) for part in parts] == Processes(0, 3).sizes(count)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert np.concatenate(parts).tolist() == list(range(count))


def test_a_process_without_a_pair_is_refused():
    with pytest.raises(UserError, match="batch of 2 leaves some of 3 processes without a pair"):
        Processes(0, 3).share(np.arange(2))


def test_no_group_is_opened_for_one_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group(torch.device("cpu")) as processes:
        assert processes == Processes()
    assert not torch.distributed.is_initialized()


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch):
    cpu, gpu, third = torch.device("cpu"), torch.device("cuda"), torch.device("cuda:3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert local_device(gpu) == gpu
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert local_device(gpu) == torch.device("cuda:1")
    assert local_device(cpu) == cpu
    assert local_device(third) == third
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match=r"no GPU for its process 3: .* of 2 at most"):
        local_device(gpu)


COUNT = 7


def rows_of(rank: int, world: int) -> slice:
    mine = Processes(rank, world).share(np.arange(COUNT))
    return slice(int(mine[0]), int(mine[-1]) + 1)


def mixture(rows: Tensor, others: Tensor, scale: Tensor) -> Tensor:
    """A function of all rows that no sum over shares can be taken for."""
    return (scale * rows @ others.T).logsumexp(dim=1).square().sum()


def collectives(processes: Processes, folder: Path) -> dict[str, Tensor]:
    """What the exchanges of :class:`Processes` give on data that differ from rank to rank."""
    torch.manual_seed(0)
    first, second = torch.randn(COUNT, 3), torch.randn(COUNT, 2)
    weight, scale = torch.randn(3, 2, requires_grad=True), torch.tensor(0.7, requires_grad=True)
    rows = rows_of(processes.rank, processes.world)
    gathered = processes.gather((first[rows] @ weight, second[rows]), COUNT)
    mixture(*gathered, scale).backward()
    unused = torch.ones(2, requires_grad=True)
    if processes.main:
        unused.grad = torch.ones(2)
    processes.average_gradients([weight, scale, unused])
    told = processes.from_main(float(processes.rank + 1) / 3, torch.device("cpu"))
    processes.wait()
    found = {"weight": weight, "scale": scale, "unused": unused}
    gradients = {name: gradient_of(tensor) for name, tensor in found.items()}
    embeddings = {"first": gathered[0].detach(), "second": gathered[1].detach()}
    return gradients | embeddings | {"told": torch.tensor(told, dtype=torch.float64)}


def differentiate(processes: Processes, folder: Path) -> dict[str, Tensor]:
    """This project's gather beside the library's, which wants equal shares."""
    torch.manual_seed(processes.rank)
    rows = torch.randn(4, 3)
    found = {}
    for name in ("ours", "library's"):
        own = rows.clone().requires_grad_()
        if name == "ours":
            (everything,) = processes.gather((own,), 4 * processes.world)
        else:
            with warnings.catch_warnings(action="ignore"):  # renamed from version to version
                parts = torch.distributed.nn.functional.all_gather(own)  # type: ignore[attr-defined]
            everything = torch.cat(parts)
        (everything.sin() * (1 + processes.rank)).sum().backward()
        assert own.grad is not None
        found |= {f"{name} rows": everything.detach(), f"{name} gradient": own.grad}
    return found


def first_by_main(processes: Processes, folder: Path) -> dict[str, Tensor]:
    """Only process 0 finds no file where it writes one first."""
    with processes.main_first():
        found = (folder / "file").exists()
        (folder / "file").touch()
    return {"found": torch.tensor(found)}


class Averager(nn.Module):
    """A system whose loss is a mean over pairs and no contrastive one."""

    image_views, text_view, text_layers = 1, None, None

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 3))

    def training_loss(self, batch: TrainBatch) -> LossOutput:
        """Return a mean over the pairs at hand."""
        loss = (batch.images.data @ self.weight).square().mean()
        return LossOutput(loss, {})


def average(processes: Processes, folder: Path) -> dict[str, Tensor]:
    """Backpropagate a mean over this process's share."""
    data = torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(0))
    rows = rows_of(processes.rank, processes.world)
    ids = torch.ones(COUNT, 1, dtype=torch.int64)[rows]
    batch = TrainBatch(ImageBatch(tokens=data[rows]), TextBatch(ids, ids.bool()))
    system = Averager()
    Backpropagation(processes, torch.device("cpu"), "float32")(system, batch, COUNT)
    processes.average_gradients(system.parameters())
    return {"mean gradient": gradient_of(system.weight)}


def everything(processes: Processes, folder: Path) -> dict[str, Tensor]:
    """All of the above in one set of processes, whose start is what takes time."""
    found: dict[str, Tensor] = {}
    for work in (collectives, differentiate, first_by_main, average):
        found |= work(processes, folder)
    return found


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    return run_peers(3, everything, tmp_path_factory.mktemp("peers"))


def test_a_loss_of_gathered_rows_has_the_gradients_of_one_process(
    peers: list[dict[str, Tensor]], tmp_path: Path
):
    alone = collectives(Processes(), tmp_path)
    for peer in peers:
        for name in ("first", "second", "weight", "scale"):
            torch.testing.assert_close(peer[name], alone[name], rtol=1e-6, atol=1e-6)
        assert torch.equal(peer["unused"], torch.full((2,), 1 / 3))
        assert float(peer["told"]) == 1 / 3


def test_the_gather_agrees_with_the_librarys(peers: list[dict[str, Tensor]]):
    for peer in peers:
        torch.testing.assert_close(peer["ours rows"], peer["library's rows"], rtol=0, atol=0)
        torch.testing.assert_close(peer["ours gradient"], peer["library's gradient"])


def test_the_first_process_prepares_what_the_others_find(peers: list[dict[str, Tensor]]):
    assert [bool(peer["found"]) for peer in peers] == [False, True, True]


def test_a_mean_over_uneven_shares_is_the_mean_over_all_pairs(
    peers: list[dict[str, Tensor]], tmp_path: Path
):
    expected = average(Processes(), tmp_path)["mean gradient"]
    for peer in peers:
        torch.testing.assert_close(peer["mean gradient"], expected, rtol=1e-6, atol=1e-6)


CASES = {
    "three losses": Case(build_cookie),
    "nt-xent": Case(build_cookie, views="nt_xent"),
    "uneven": Case(build_cookie, batch_size=13),
    "micro-batches": Case(build_cookie, batch_size=13, micro_batch=2),
    "queue": Case(build_cookie, batch_size=13, negatives="queue", queue_size=20),
    "momentum": Case(
        build_cookie, batch_size=13, micro_batch=2, negatives="momentum", queue_size=20
    ),
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """Return what one process finds, and the folder with the pixels that it decoded."""
    folder = tmp_path_factory.mktemp("alone")
    return folder, train_cases(CASES, Processes(), folder)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_train_as_one_would(
    tmp_path: Path, world: int, alone: tuple[Path, dict[str, Tensor]]
):
    folder, expected = alone
    shutil.copytree(folder / "cache", tmp_path / "cache")
    peers = run_peers(world, functools.partial(train_cases, CASES), tmp_path)
    for name in (name for name in expected if "/kept/" in name):
        assert all(torch.equal(peer[name], peers[0][name]) for peer in peers), name
    for peer in peers:
        assert peer.keys() == expected.keys()
        for name, tensor in expected.items():
            torch.testing.assert_close(
                peer[name], tensor, rtol=1e-6, atol=1e-6, msg=lambda text, name=name: name + text
            )


def test_torchrun_trains_and_one_process_writes(tmp_path: Path):
    command = [
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "-m",
        "--",
        "cookie",
        "train",
    ]
    settings = ["--preset", "smoke", "--device", "cpu", "--train.batch-size", "15"]
    done = subprocess.run(
        [sys.executable, *command, *settings, "--run", tmp_path / "run"],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
        env={**os.environ, "COOKIE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.count("best on the validation split") == 1
    assert "6/6" in done.stderr
    assert done.stderr.count("scenes train pixels:   0%") == 1
    assert json.loads((tmp_path / "run" / "result.json").read_text())["steps"] == 6
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1
    assert [line["step"] for line in read_history(tmp_path / "run" / "history.jsonl")][-1] == 6
    assert not list(tmp_path.rglob("*.partial"))
    assert load_run(tmp_path / "run", torch.device("cpu")).score > 0
