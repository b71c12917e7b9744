"""Processes: one is free, two average what they computed."""

from __future__ import annotations

import multiprocessing
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cookie.errors import UserError
from cookie.training.distributed import Processes, current, process_group


def test_one_process_owns_everything():
    alone = current()
    assert (alone.rank, alone.world, alone.main) == (0, 1, True)
    assert alone.share(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    model = nn.Linear(2, 2)
    alone.average_gradients(model.parameters())
    alone.wait()
    assert model.weight.grad is None


def test_shares_are_disjoint_equal_and_complete():
    parts = [Processes(rank, 3).share(np.arange(12)) for rank in range(3)]
    assert [len(part) for part in parts] == [4, 4, 4]
    assert np.concatenate(parts).tolist() == list(range(12))
    with pytest.raises(UserError, match="batch of 13 cannot be divided among 3 processes"):
        Processes(0, 3).share(np.arange(13))


def test_no_group_is_opened_for_one_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group(torch.device("cpu")) as processes:
        assert processes == Processes()
    assert not torch.distributed.is_initialized()


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def _work(rank: int, port: int, folder: Path) -> None:
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    with process_group(torch.device("cpu")) as processes:
        assert processes == current() == Processes(rank, 2)
        model = _model()
        unused = nn.Parameter(torch.ones(2))
        if rank == 0:
            unused.grad = torch.ones(2)
        data = torch.arange(24.0).view(8, 3)
        mine = data[processes.share(np.arange(8))]
        model(mine).square().mean().backward()
        processes.average_gradients([*model.parameters(), unused])
        processes.wait()
        gradients = [parameter.grad for parameter in [*model.parameters(), unused]]
        torch.save(gradients, folder / f"{rank}.pt")


def test_two_processes_have_the_gradients_of_one(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work, args=(rank, port, tmp_path)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    model = _model()
    model(torch.arange(24.0).view(8, 3)).square().mean().backward()
    expected = [parameter.grad for parameter in model.parameters()]
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert torch.equal(found[-1], torch.full((2,), 0.5))
        for ours, theirs in zip(found[:-1], expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
