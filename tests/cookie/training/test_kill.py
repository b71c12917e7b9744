"""``kill -9`` at random moments of a real training, gone on from until done: the same bits.

Five moments; ``COOKIE_BENCH=full`` takes twenty.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch

from cookie.config import preset
from cookie.files import sha256
from cookie.model import Cookie
from cookie.training.journal import read_history
from cookie.training.trainer import train
from tests.cookie.training.peers import material

MOMENTS = 20 if os.environ.get("COOKIE_BENCH") == "full" else 5
PRELOADED = ["cookie.features", "cookie.training.trainer", "torch.utils.tensorboard", __name__]
STEPS = 12


def learn(folder: Path, cache: Path, begun: Event) -> None:
    """Train COOKIE on the smallest data, with a checkpoint every other step."""
    torch.set_num_threads(1)
    base = preset("smoke")
    settings = dataclasses.replace(
        base.train, steps=STEPS, evaluate_every=2, precision="float32", micro_batch=8
    )
    config = dataclasses.replace(base, train=settings)
    corpus, vocabulary_size = material(config, cache)
    torch.manual_seed(1)
    system = Cookie(config, vocabulary_size)
    begun.set()
    train(
        system,
        corpus,
        config,
        seed=2,
        device="cpu",
        run_dir=folder,
        validate=lambda module: float(module.get_parameter("temperature.log_scale").detach()),
        progress=False,
    )


def bits(folder: Path) -> dict[str, object]:
    """Return what of a run must not depend on how often it was cut off."""
    last = f"checkpoints/step-{STEPS:09d}.safetensors"
    times = ("samples_per_second", "wait_share")
    lines = read_history(folder / "history.jsonl")
    log = [[line[name] for name in line if name not in times] for line in lines]
    return {"best": sha256(folder / "best.safetensors"), "last": sha256(folder / last), "log": log}


class Trainings:
    """Starts trainings in processes of their own, which have torch imported already."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOADED)
        self.seconds = 0.0

    def whole(self, folder: Path) -> int | None:
        """Train to the end and return the exit code; afterwards ``seconds`` says how long."""
        process = self._begin(folder)
        started = time.monotonic()
        process.join(200)
        self.seconds = time.monotonic() - started
        return process.exitcode

    def cut_off(self, folder: Path, seconds: float) -> int | None:
        """Train, kill without warning after ``seconds``, and return the exit code."""
        process = self._begin(folder)
        time.sleep(seconds)
        process.kill()
        process.join(60)
        return process.exitcode

    def _begin(self, folder: Path) -> BaseProcess:
        begun = self.context.Event()
        process = self.context.Process(target=learn, args=(folder, self.cache, begun))
        process.start()
        assert begun.wait(120)
        return process


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    made = Trainings(tmp_path_factory.mktemp("cache"))
    assert made.whole(tmp_path_factory.mktemp("warm") / "run") == 0  # imports and decodes
    return made


@pytest.mark.timeout(1800)  # on a machine that has much else to do
def test_killed_runs_end_with_the_bits_of_one_that_was_left_alone(
    trainings: Trainings, tmp_path: Path
):
    assert trainings.whole(tmp_path / "alone") == 0
    expected, killed, steps = bits(tmp_path / "alone"), 0, []
    seconds, moments = trainings.seconds, random.Random(20_211_011)
    for number in range(MOMENTS):
        folder = tmp_path / str(number)
        code = trainings.cut_off(folder, moments.uniform(0, seconds))
        assert code in (0, -signal.SIGKILL)  # 0: this machine was quicker than before
        killed += code != 0
        steps.append(saved(folder))
        assert trainings.whole(folder) == 0
        assert bits(folder) == expected, f"moment {number}"
        assert not [path for path in folder.glob("*.json") if not path.stat().st_size]
    assert killed >= MOMENTS // 2
    assert len(set(steps)) > 1, "all moments fell between the same two checkpoints"
    print(f"{killed} of {MOMENTS} runs killed; newest checkpoints: {sorted(steps)}")


def saved(folder: Path) -> int:
    """Return the step of the newest checkpoint, 0 where there is none."""
    return max((int(path.stem[5:]) for path in folder.glob("checkpoints/*.json")), default=0)
