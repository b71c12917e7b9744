"""``kill -9`` at random moments of a real training, gone on from until done: the same bits.

A moment is a function call, counted, so it does not depend on how fast or busy the machine is;
all stretches between validations are as likely.
Every other process is killed in the very call; the others from outside, a little later, wherever
they are then. Six moments; ``COOKIE_BENCH=full`` takes twenty.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path

import pytest
import torch
from torch import nn

from cookie.files import sha256
from cookie.model import Cookie
from cookie.presets import preset
from cookie.training.journal import read_history
from cookie.training.trainer import train
from tests.cookie.training.peers import forkserver, material

MOMENTS = 20 if os.environ.get("COOKIE_BENCH") == "full" else 6
STEPS = 8


class Calls:
    """Counts the calls and returns of this thread, and acts at one of them."""

    def __init__(self, moment: int, act: Callable[[], object]) -> None:
        self.moment, self.act, self.count = moment, act, 0
        self.marks: list[int] = []

    def __call__(self, frame: object, event: str, argument: object) -> None:
        """Count; a profile function, so that calls into C count too."""
        self.count += 1
        if self.count == self.moment:
            self.act()

    def validate(self, module: nn.Module) -> float:
        """Mark how many calls there have been, and return a score that changes with training."""
        self.marks.append(self.count)
        return float(module.get_parameter("temperature.log_scale").detach())


def learn(folder: Path, cache: Path, told: Connection, moment: int, at_once: bool) -> None:
    """Train COOKIE on the smallest data; tell of ``moment`` or die there, tell marks at the end."""
    torch.set_num_threads(1)
    base = preset("smoke")
    settings = dataclasses.replace(
        base.train, steps=STEPS, evaluate_every=2, precision="float32", micro_batch=8
    )
    # Momentum keys and their queue: all that a checkpoint can be asked to hold.
    loss = dataclasses.replace(base.loss, negatives="momentum", queue_size=40, momentum=0.9)
    config = dataclasses.replace(base, train=settings, loss=loss)
    corpus, vocabulary_size = material(config, cache)
    torch.manual_seed(1)
    system = Cookie(config, vocabulary_size)
    calls = Calls(moment, die if at_once else lambda: told.send(moment))
    sys.setprofile(calls)
    train(
        system,
        corpus,
        config,
        seed=2,
        device="cpu",
        run_dir=folder,
        validate=calls.validate,
        progress=False,
    )
    sys.setprofile(None)
    told.send([1, *calls.marks, calls.count])


def die() -> None:
    """Kill this process as nothing can prevent."""
    os.kill(os.getpid(), signal.SIGKILL)


class Trainings:
    """Starts trainings in processes of their own, which have torch imported already."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.context = forkserver()

    def whole(self, folder: Path) -> list[int]:
        """Train to the end and return the number of the first call, each validation, the last."""
        code, marks = self._run(folder, 0, at_once=True)
        assert code == 0
        assert isinstance(marks, list)
        return marks

    def killed(self, folder: Path, moment: int, *, at_once: bool) -> bool:
        """Train, kill without warning at ``moment``, and return whether it was not done before."""
        code, _ = self._run(folder, moment, at_once=at_once)
        assert code in (0, -signal.SIGKILL)
        return code != 0

    def _run(
        self, folder: Path, moment: int, *, at_once: bool
    ) -> tuple[int | None, list[int] | int | None]:
        """Return the exit code and what the process told, None if it died before."""
        heard, told = self.context.Pipe(duplex=False)
        arguments = (folder, self.cache, told, moment, at_once)
        process = self.context.Process(target=learn, args=arguments)
        process.start()
        told.close()
        wait([heard])  # until it tells something, or is gone and the pipe with it
        try:
            word = heard.recv()
        except EOFError:
            word = None
        if moment and word == moment:
            process.kill()
        process.join()
        return process.exitcode, word


def bits(folder: Path) -> dict[str, object]:
    """Return what of a run must not depend on how often it was cut off."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    names = {str(name) for name in files if name.parts[0] != "tensorboard"}
    tensors = {str(n): sha256(path) for n, path in files.items() if n.suffix == ".safetensors"}
    times = ("samples_per_second", "wait_share")
    lines = read_history(folder / "history.jsonl")
    log = [{name: line[name] for name in line if name not in times} for line in lines]
    return {"names": names, "tensors": tensors, "log": log}


def saved(folder: Path) -> int:
    """Return the step of the newest checkpoint, 0 where there is none."""
    return max((int(path.stem[5:]) for path in folder.glob("checkpoints/*.json")), default=0)


@pytest.mark.timeout(1800)  # on a machine that has much else to do
def test_killed_runs_end_with_the_bits_of_one_that_was_left_alone(tmp_path: Path):
    trainings, random_ = Trainings(tmp_path / "cache"), random.Random(20_211_011)
    marks = trainings.whole(tmp_path / "alone")
    stretches = list(itertools.pairwise(marks))
    expected, steps, number = bits(tmp_path / "alone"), [], 0
    assert isinstance(expected["tensors"], dict)
    assert len(expected["tensors"]) == 3, "the best and the last two"
    while len(steps) < MOMENTS:
        folder, number = tmp_path / str(number), number + 1
        while len(steps) < MOMENTS and trainings.killed(
            folder, random_.randint(*random_.choice(stretches)), at_once=len(steps) % 2 == 0
        ):
            steps.append(saved(folder))
        trainings.whole(folder)
        assert bits(folder) == expected, f"run {number}, after kills at {steps}"
    assert len(set(steps)) > 1, "all moments fell between the same two checkpoints"
    print(f"{MOMENTS} kills of {number} runs of {marks[-1]} calls, after checkpoints {steps}")
