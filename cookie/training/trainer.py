"""One trainer for every system: same data order, same budget, same care for the run's life.

Everything random in a step is a function of (seed, step), so a run that was killed and goes on
from its checkpoint ends, on the CPU, with the same bits as one that was left alone.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from cookie.config import Config
from cookie.errors import UserError
from cookie.files import remove_partial, write_json
from cookie.interfaces import Corpus, IndexArray
from cookie.nvml import busy_share
from cookie.training.allocator import keep_freed_memory
from cookie.training.checkpoint import Checkpoint, Checkpoints, load_weights, save_weights
from cookie.training.distributed import Processes, current
from cookie.training.guard import LossWindow
from cookie.training.identity import SINGLE, Stage, identity
from cookie.training.journal import Journal
from cookie.training.lock import alone
from cookie.training.occupant import IDENTITY, require_own, taken
from cookie.training.order import pair_batches
from cookie.training.step import Stepper

BEST = "best"
RESULT = "result.json"

Validate = Callable[[nn.Module], float]
Begin = Callable[[], None]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What came of a run.

    Attributes:
        steps: optimizer steps done.
        seconds: spent training: waiting for data included, validation and checkpoints not.
        wait_seconds: of these, spent waiting for data.
        samples_per_second: pairs trained on per second of ``seconds``.
        gpu_busy: share of the time that the GPU worked, mean over the log; None where NVML cannot
            say.
        best_score: highest validation score; the system holds its weights.
        best_step: where it was reached.
        history: the run's log, one JSON object a line.
    """

    steps: int
    seconds: float
    wait_seconds: float
    samples_per_second: float
    gpu_busy: float | None
    best_score: float
    best_step: int
    history: Path


@dataclass(slots=True)
class _State:
    """What changes while a run goes on, apart from tensors."""

    step: int = 0
    seconds: float = 0.0
    wait_seconds: float = 0.0
    best_score: float | None = None
    best_step: int = 0
    busy: list[float] = field(default_factory=list)


def train(
    system: nn.Module,
    corpus: Corpus,
    config: Config,
    *,
    seed: int,
    device: torch.device | str,
    run_dir: Path,
    validate: Validate,
    progress: bool = True,
    processes: Processes | None = None,
    stage: Stage = SINGLE,
    begin: Begin | None = None,
) -> TrainResult:
    """Train ``system`` on ``corpus``, going on from the checkpoint in ``run_dir`` if there is one.

    On a CPU the process keeps the memory that it frees, from then on: see
    :func:`cookie.training.allocator.keep_freed_memory`.

    Args:
        system: a :class:`cookie.training.step.Trainee`; afterwards it is on ``device``, in eval
            mode, and holds the weights that validated best.
        corpus: the training split; its batches must come on ``device``.
        config: all settings; ``config.train`` is the budget.
        seed: of the data order, the augmentations and the model's own randomness.
        device: where to train.
        run_dir: gets ``best.safetensors``, ``best.json``, ``checkpoints/``, ``history.jsonl``,
            ``tensorboard/`` and, at the end, ``result.json``. A finished run is not run again.
        validate: gives a score of the system in eval mode; higher is better. Of several
            processes the first alone calls it.
        progress: whether to show a bar.
        processes: who trains together; found out when not given.
        stage: says whether other training came before; ``system`` holds the weights it starts from.
        begin: called before the first step, once it is known that ``run_dir`` holds no other run;
            of several processes the first alone calls it.

    Raises:
        UserError: the loss is not finite, the disk is full, the batch is larger than the split,
            ``run_dir`` holds a run with other settings, or of another stage, or another process
            is training in it.
    """
    device, processes = torch.device(device), processes or current()
    if device.type == "cpu":
        keep_freed_memory()
    run = _Run(system.to(device), corpus, config, seed, device, run_dir, processes, stage)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), alone(run_dir, processes, device):
        run.resume()
        if begin is not None and processes.main:
            begin()
        run.go(validate, progress)
        return run.finish()


class _Run:
    """The moving parts of :func:`train`."""

    def __init__(
        self,
        module: nn.Module,
        corpus: Corpus,
        config: Config,
        seed: int,
        device: torch.device,
        folder: Path,
        processes: Processes,
        stage: Stage,
    ) -> None:
        self.module = module
        self.config = config
        self.seed = seed
        self.stage = stage
        self.folder = folder
        self.processes = processes
        self.caption_image = corpus.caption_image
        self.stepper = Stepper(module, corpus, config, seed, processes, device)
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.identity = identity(module, corpus, config, seed, stage)
        self.window = LossWindow(config.train, folder)
        self.state = _State()

    def resume(self) -> None:
        """Take up the newest whole checkpoint, and clear away what a kill left half-written."""
        if self.processes.main:
            remove_partial(self.folder)
            remove_partial(self.checkpoints.folder)
        found = self.checkpoints.load()
        if found is None:
            require_own(self.folder, self.identity, self.config, self.seed, self.stage)
            return
        if found.facts[IDENTITY] != self.identity:
            raise taken(self.folder)
        self.stepper.load(found.tensors, found.facts["optimizer"])
        self.state = _State(**found.facts["state"])

    def go(self, validate: Validate, progress: bool) -> None:
        """Do the steps that are left, validating and saving on the way."""
        settings, state = self.config.train, self.state
        batches = pair_batches(self.caption_image, settings.batch_size, self.seed, state.step)
        main = self.processes.main
        with (
            Journal(self.folder, state.step, active=main) as journal,
            _bar(settings.steps, state.step, progress and main) as bar,
        ):
            while state.step < settings.steps:
                every = settings.evaluate_every
                until = min(settings.steps, (state.step // every + 1) * every)
                self.steps(batches, until, journal, bar)
                self.judge(validate, journal)
                self.save()

    def steps(
        self, batches: Iterator[IndexArray], until: int, journal: Journal, bar: tqdm[Any]
    ) -> None:
        """Train until step ``until``, logging on the way; all losses up to there are finite."""
        self.module.train()
        every = max(1, min(50, self.config.train.steps // 100))
        state, started, waited = self.state, time.perf_counter(), 0.0
        while state.step < until:
            begun = time.perf_counter()
            batch = self.stepper.batch(state.step, next(batches))
            waited += time.perf_counter() - begun
            self.window.add(*self.stepper.step(state.step, batch))
            state.step += 1
            bar.update()
            if state.step % every == 0 or state.step == until:
                self.log(journal, bar, started, waited)
                started, waited = time.perf_counter(), 0.0

    def log(self, journal: Journal, bar: tqdm[Any], started: float, waited: float) -> None:
        """Write down the mean losses and account for the time since ``started``."""
        steps, (busy, _) = len(self.window), busy_share(self.stepper.device)  # while it works
        losses = self.window.flush(self.state.step, self.state.best_step)
        seconds = time.perf_counter() - started
        self.state.seconds += seconds
        self.state.wait_seconds += waited
        speed = steps * self.config.train.batch_size / seconds
        rates = {f"rate_{i}": group["lr"] for i, group in enumerate(self.stepper.groups)}
        times = {"samples_per_second": speed, "wait_share": waited / seconds}
        if busy is not None:
            self.state.busy.append(busy)
            times["gpu_busy"] = busy
        journal.write(self.state.step, losses | rates | times)
        bar.set_postfix(loss=f"{losses['loss']:.3f}", pairs=f"{speed:.0f}/s", refresh=False)

    def judge(self, validate: Validate, journal: Journal) -> None:
        """Validate, and keep the weights if they are the best so far."""
        state = self.state
        self.module.eval()
        mine = float(validate(self.module)) if self.processes.main else math.nan
        score = self.processes.from_main(mine, self.stepper.device)
        if not math.isfinite(score):
            raise UserError(
                f"The validation at step {state.step} gave {score}: lower train.learning_rate or "
                "set train.precision to float32."
            )
        journal.write(state.step, {"validation": score})
        if state.best_score is not None and score <= state.best_score:
            return
        state.best_score, state.best_step = score, state.step
        if self.processes.main:
            facts = {"score": score, "step": state.step, "seed": self.seed, **self.facts()}
            save_weights(self.folder, BEST, self.module, facts | {"config": self.config.to_dict()})

    def save(self) -> None:
        """Write a checkpoint."""
        if self.processes.main:
            tensors, optimizer = self.stepper.tensors()
            facts = {"optimizer": optimizer, **self.facts()}
            facts["state"] = dataclasses.asdict(self.state)
            self.checkpoints.save(Checkpoint(self.state.step, tensors, facts))
        self.processes.wait()

    def finish(self) -> TrainResult:
        """Put the best weights into the system and write down the result."""
        best = load_weights(self.folder, BEST, self.module.eval())
        state = self.state
        result = TrainResult(
            steps=state.step,
            seconds=state.seconds,
            wait_seconds=state.wait_seconds,
            samples_per_second=state.step * self.config.train.batch_size / state.seconds,
            gpu_busy=fmean(state.busy) if state.busy else None,
            best_score=best["score"],
            best_step=best["step"],
            history=self.folder / "history.jsonl",
        )
        if self.processes.main:
            content = dataclasses.asdict(result) | {"history": result.history.name}
            write_json(self.folder / RESULT, content | self.facts())
        return result

    def facts(self) -> dict[str, str]:
        """Return what every file of the run says of it."""
        return {IDENTITY: self.identity, **self.stage.facts()}


def _bar(steps: int, done: int, shown: bool) -> tqdm[Any]:
    return tqdm(
        total=steps, initial=done, disable=not shown, unit="step", desc="train", mininterval=0.5
    )
