"""One process that fails ends all, at once and with one sentence."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed

from cookie.errors import UserError, run_main
from cookie.training.distributed import Processes
from cookie.training.group import process_group
from tests.cookie.training.peers import forkserver

Work = Callable[[Processes], None]
WORLD = 3


def gather(processes: Processes) -> None:
    """Wait for rows of every process."""
    processes.assemble(torch.ones(1, 2), [1] * WORLD)


def one_is_wrong(processes: Processes) -> None:
    """The second process finds a mistake, while the others wait for its rows."""
    if processes.rank == 1:
        raise UserError("Photograph 7 is broken.")
    gather(processes)


def all_are_wrong(processes: Processes) -> None:
    """Every process finds the same mistake."""
    raise UserError("There is no folder 'absent'.")


def one_is_killed(processes: Processes) -> None:
    """The last process ends as one does that the system kills."""
    if processes.rank == WORLD - 1:
        os._exit(9)
    gather(processes)


def one_has_a_defect(processes: Processes) -> None:
    """The process that should have prepared something for the others meets a defect."""
    with processes.main_first():
        if processes.main:
            raise ZeroDivisionError("a defect")
    gather(processes)


def all_is_well(processes: Processes) -> None:
    """Nothing fails."""
    gather(processes)
    assert processes.collect(str(processes.rank)) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("work", "codes", "said"),
    [
        (one_is_wrong, [2, 2, 2], "error: Photograph 7 is broken."),
        (all_are_wrong, [2, 2, 2], "error: There is no folder 'absent'."),
        (one_is_killed, [2, 2, 9], "error: Another process has ended without a word, as one"),
        (one_has_a_defect, [1, 2, 2], "ZeroDivisionError: a defect"),
        (all_is_well, [0, 0, 0], ""),
    ],
)
def test_the_first_failure_alone_is_shown_and_nobody_waits(
    work: Work, codes: list[int], said: str, tmp_path: Path
):
    assert run_group(work, tmp_path) == codes
    shown = "".join((tmp_path / f"{rank}.txt").read_text() for rank in range(WORLD))
    last = shown.strip().splitlines()[-1:]
    assert "".join(last).startswith(said)
    if 1 not in codes:  # a defect comes with a traceback
        assert len(shown.strip().splitlines()) == bool(said)


def run_group(work: Work, folder: Path) -> list[int | None]:
    """Return the exit codes of processes that are started as ``torchrun`` does."""
    store = torch.distributed.TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    members = [
        forkserver().Process(target=_member, args=(rank, store.port, work, folder), daemon=True)
        for rank in range(WORLD)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join(100)  # on a machine that has much else to do
    return [member.exitcode for member in members]


def _member(rank: int, port: int, work: Work, folder: Path) -> None:
    place = {"RANK": rank, "WORLD_SIZE": WORLD, "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    torch.set_num_threads(1)
    sys.stderr = (folder / f"{rank}.txt").open("w", buffering=1)
    run_main(lambda: _in_group(work))


def _in_group(work: Work) -> None:
    with process_group(torch.device("cpu")) as processes:
        work(processes)


@pytest.mark.parametrize(("failed", "error"), [(1, RuntimeError), (2, SystemExit)])
def test_whom_another_leaves_while_connecting_says_nothing(
    failed: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
):
    class Told:
        """A store in which so many have failed, this process included."""

        def add(self, name: str, count: int) -> int:
            return failed

    def connect(*_: object, **__: object) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setenv("WORLD_SIZE", "3")
    meeting = importlib.import_module("torch.distributed.rendezvous")  # its name is a function's
    monkeypatch.setattr(meeting, "rendezvous", lambda *_, **__: iter([(Told(), 0, 3)]))
    monkeypatch.setattr("torch.distributed.distributed_c10d.PrefixStore", lambda _, store: store)
    monkeypatch.setattr(torch.distributed, "init_process_group", connect)
    with pytest.raises(error), process_group(torch.device("cpu")):
        raise AssertionError("there is no group")
