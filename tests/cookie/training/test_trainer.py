"""The trainer on a toy: what it feeds, what it keeps, and what it survives."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from cookie.config import TrainConfig
from cookie.errors import UserError
from cookie.interfaces import (
    ImageBatch,
    IndexArray,
    LossOutput,
    TextBatch,
    TextView,
    TrainBatch,
)
from cookie.training import checkpoint, trainer
from cookie.training.checkpoint import load_weights
from cookie.training.journal import read_history
from cookie.training.order import pair_batches, step_generator
from cookie.training.trainer import TrainResult, train
from tests.cookie.training.toy import ToyCorpus, ToySystem, config


def score(system: nn.Module) -> float:
    """A number that depends on the weights."""
    assert not system.training
    return float(system.get_parameter("image.weight").detach().abs().mean())


def run(
    folder: Path,
    system: ToySystem | None = None,
    corpus: ToyCorpus | None = None,
    validate: Callable[[nn.Module], float] = score,
    seed: int = 3,
    **changes: object,
) -> tuple[ToySystem, TrainResult]:
    system = system or ToySystem()
    result = train(
        system,
        corpus or ToyCorpus(),
        config(**changes),
        seed=seed,
        device="cpu",
        run_dir=folder,
        validate=validate,
        progress=False,
    )
    return system, result


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_learns_and_says_what_came_of_it(tmp_path: Path):
    system, result = run(tmp_path, steps=60, evaluate_every=20, learning_rate=0.05)
    lines = read_history(result.history)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.5 * losses[0]
    assert result.steps == 60
    assert result.seconds > result.wait_seconds > 0
    assert result.samples_per_second == pytest.approx(60 * 7 / result.seconds)
    assert [line["step"] for line in lines if "validation" in line] == [20, 40, 60]
    assert not system.training
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["best_score"] == result.best_score
    assert list((tmp_path / "tensorboard").iterdir())


def test_the_log_names_losses_rates_and_times(tmp_path: Path):
    _, result = run(tmp_path)
    line = read_history(result.history)[0]
    assert line.keys() == {
        *("step", "loss", "image_text", "texts", "gradient_norm", "rate_0", "rate_1"),
        *("samples_per_second", "wait_share"),
    }
    assert line["loss"] == pytest.approx(line["image_text"])
    assert 0 < line["wait_share"] < 1


def test_times_are_those_of_training_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A made clock: a batch takes 1 s to come and 3 s to train on, a validation 100 s."""
    now = [0.0]

    class SlowCorpus(ToyCorpus):
        def texts(
            self,
            indices: IndexArray,
            generator: torch.Generator | None = None,
            view: TextView = "mask",
        ) -> TextBatch:
            now[0] += 1.0
            return super().texts(indices, generator, view)

    class SlowSystem(ToySystem):
        def training_loss(self, batch: TrainBatch) -> LossOutput:
            assert self.training  # after a validation as before it
            now[0] += 3.0
            return super().training_loss(batch)

    def validate(system: nn.Module) -> float:
        now[0] += 100.0
        return score(system)

    monkeypatch.setattr(trainer, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    # 200 steps are logged every second one, and where the training is validated.
    _, result = run(tmp_path, SlowSystem(), SlowCorpus(), validate, steps=200, evaluate_every=75)
    assert (result.seconds, result.wait_seconds) == (800.0, 200.0)
    assert result.samples_per_second == 7 / 4
    logged = [line for line in read_history(result.history) if "loss" in line]
    assert [line["step"] for line in logged][:4] == [2, 4, 6, 8]
    assert {74, 75, 76, 148, 150, 152, 200} <= {line["step"] for line in logged}
    assert {line["samples_per_second"] for line in logged} == {7 / 4}
    assert {line["wait_share"] for line in logged} == {1 / 4}


def test_how_busy_a_gpu_is_goes_into_the_log_and_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _, result = run(tmp_path / "cpu")
    assert result.gpu_busy is None
    readings = iter([0.5, *[1.0] * 11])
    monkeypatch.setattr(trainer, "busy_share", lambda _device: (next(readings), None))
    _, result = run(tmp_path / "gpu")
    logged = [line["gpu_busy"] for line in read_history(result.history) if "loss" in line]
    assert logged == [0.5] + [1.0] * (len(logged) - 1)
    assert result.gpu_busy == pytest.approx(sum(logged) / len(logged))
    assert json.loads((tmp_path / "gpu" / "result.json").read_text())["gpu_busy"] < 1


def test_the_corpus_is_asked_for_the_order_of_the_seed(tmp_path: Path):
    corpus = ToyCorpus()
    run(tmp_path, corpus=corpus)
    expected = list(islice(pair_batches(corpus.caption_image, 7, 3), 12))
    texts = [call for call in corpus.calls if call[0].startswith("texts")]
    images = [call for call in corpus.calls if call[0] == "images"]
    assert [call[1] for call in texts] == [batch.tolist() for batch in expected]
    assert [call[1] for call in images] == [corpus.caption_image[b].tolist() for b in expected]
    assert not any(augmented for _, _, augmented in texts)
    assert all(augmented for _, _, augmented in images)


def test_systems_of_a_seed_see_the_same_first_views(tmp_path: Path):
    plain, greedy = ToySystem(), ToySystem()
    greedy.image_views, greedy.text_view = 2, "delete"
    corpus = ToyCorpus()
    run(tmp_path / "plain", plain)
    run(tmp_path / "greedy", greedy, corpus)
    for one, two in zip(plain.seen, greedy.seen, strict=True):
        assert torch.equal(one.images.data, two.images.data)
        assert torch.equal(one.texts.ids, two.texts.ids)
        assert one.images_second is one.texts_second is None
        assert two.images_second is not None
        assert two.texts_second is not None
        assert not torch.equal(two.images_second.data, two.images.data)
    assert ("texts delete", corpus.calls[0][1], True) not in corpus.calls[:2]
    assert sum(name == "texts delete" for name, *_ in corpus.calls) == 12


def test_each_view_of_a_step_is_drawn_from_a_generator_of_its_own(tmp_path: Path) -> None:
    system, corpus = ToySystem(), ToyCorpus()
    system.image_views, system.text_view = 2, "delete"
    run(tmp_path, system, corpus)
    batches = islice(pair_batches(corpus.caption_image, 7, 3), 12)
    for step, (captions, seen) in enumerate(zip(batches, system.seen, strict=True)):
        images = corpus.caption_image[captions]
        first, second = (corpus.images(images, step_generator(3, step, view)) for view in (0, 1))
        texts = corpus.texts(captions, step_generator(3, step, 2), "delete")
        assert torch.equal(seen.images.data, first.data)
        assert seen.images_second is not None
        assert torch.equal(seen.images_second.data, second.data)
        assert seen.texts_second is not None
        assert torch.equal(seen.texts_second.ids, texts.ids)


def test_seeds_differ_and_repeat(tmp_path: Path):
    one, _ = run(tmp_path / "1", seed=1)
    again, _ = run(tmp_path / "again", seed=1)
    two, _ = run(tmp_path / "2", seed=2)
    assert same_weights(one, again)
    assert not same_weights(one, two)


def test_the_callers_randomness_is_left_alone(tmp_path: Path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_a_cpu_keeps_the_memory_it_frees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[bool] = []
    monkeypatch.setattr("cookie.training.trainer.keep_freed_memory", lambda: asked.append(True))
    run(tmp_path)
    assert asked == [True]


def test_the_best_weights_are_kept_and_returned(tmp_path: Path):
    seen: dict[float, torch.Tensor] = {}
    scores = iter([1.0, 3.0, 2.0])

    def validate(system: nn.Module) -> float:
        value = next(scores)
        seen[value] = system.get_parameter("image.weight").detach().clone()
        return value

    system, result = run(tmp_path, validate=validate)
    assert (result.best_score, result.best_step) == (3.0, 8)
    assert torch.equal(system.image.weight, seen[3.0])
    other = ToySystem()
    facts = load_weights(tmp_path, "best", other)
    assert same_weights(system, other)
    assert (facts["score"], facts["step"], facts["seed"]) == (3.0, 8, 3)
    assert facts["config"]["train"]["batch_size"] == 7


def test_among_equal_scores_the_first_is_kept(tmp_path: Path):
    _, result = run(tmp_path, validate=lambda _: 0.0)
    assert (result.best_score, result.best_step) == (0.0, 4)


class KilledError(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("validations", [1, 2, 3])
def test_a_run_that_was_cut_off_ends_with_the_same_bits(tmp_path: Path, validations: int):
    whole, expected = run(tmp_path / "whole")
    count = 0

    def dying(system: nn.Module) -> float:
        nonlocal count
        count += 1
        if count == validations:
            raise KilledError
        return score(system)

    with pytest.raises(KilledError):
        run(tmp_path / "cut", validate=dying)
    resumed, result = run(tmp_path / "cut")
    assert same_weights(whole, resumed)
    assert (result.best_score, result.best_step) == (expected.best_score, expected.best_step)
    assert losses(tmp_path / "whole") == losses(tmp_path / "cut")


def losses(folder: Path) -> list[tuple[float, ...]]:
    times = ("samples_per_second", "wait_share")
    lines = read_history(folder / "history.jsonl")
    return [tuple(value for name, value in line.items() if name not in times) for line in lines]


@pytest.mark.parametrize("at", [2, 7])
def test_a_process_killed_within_a_step_ends_with_the_same_bits(tmp_path: Path, at: int):
    """The real thing: another process, killed without warning, then started again."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.cookie.training.test_trainer import run\n"
        "from tests.cookie.training.toy import ToySystem\n"
        "class Mortal(ToySystem):\n"
        "    def training_loss(self, batch):\n"
        f"        if len(self.seen) == {at}:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().training_loss(batch)\n"
        "Mortal.__name__ = 'ToySystem'\n"
        "run(Path(sys.argv[1]), Mortal())\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "cut")], check=False)
    assert done.returncode == -9
    whole, _ = run(tmp_path / "whole")
    resumed, _ = run(tmp_path / "cut")
    assert same_weights(whole, resumed)
    assert losses(tmp_path / "whole") == losses(tmp_path / "cut")


def test_a_finished_run_is_not_run_again(tmp_path: Path):
    first, expected = run(tmp_path)
    corpus = ToyCorpus()
    again, result = run(tmp_path, corpus=corpus)
    assert corpus.calls == []
    assert same_weights(first, again)
    assert result == expected


def test_a_broken_last_checkpoint_costs_only_the_steps_since_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    whole, _ = run(tmp_path)
    last = tmp_path / "checkpoints" / "step-000000012.safetensors"
    last.write_bytes(last.read_bytes()[:-8])
    corpus = ToyCorpus()
    again, _ = run(tmp_path, corpus=corpus)
    assert "falling back" in caplog.text
    assert len(corpus.calls) == 2 * 4
    assert same_weights(whole, again)


@pytest.mark.parametrize("change", ["seed", "config", "data"])
def test_a_folder_of_another_run_is_refused(tmp_path: Path, change: str):
    run(tmp_path)
    with pytest.raises(UserError, match="holds a run with other settings, data or seed"):
        run(
            tmp_path,
            seed=4 if change == "seed" else 3,
            corpus=ToyCorpus(23) if change == "data" else None,
            **({"weight_decay": 0.3} if change == "config" else {}),
        )


@pytest.mark.parametrize(("at", "kept"), [(2, None), (9, 8)])
def test_a_loss_that_is_not_finite_names_the_step_and_leaves_the_last_good(
    tmp_path: Path, at: int, kept: int | None
):
    system = ToySystem()
    system.poison_at = at
    with pytest.raises(UserError, match=rf"at step {at + 1}, where 'loss' is not finite") as caught:
        run(tmp_path, system, validate=lambda _: 1.0)
    assert "lower train.learning_rate" in str(caught.value)
    assert (tmp_path / "best.json").exists() == (kept is not None)
    assert ("stay in" in str(caught.value)) == (kept is not None)
    found = checkpoint.Checkpoints(tmp_path / "checkpoints").load()
    assert (None if found is None else found.step) == kept
    if found is not None:
        assert all(tensor.isfinite().all() for tensor in found.tensors.values())


def test_the_first_bad_part_is_named_even_between_logs(tmp_path: Path):
    system = ToySystem()
    system.poison_at = 250
    with pytest.raises(UserError, match="at step 251, where 'loss'"):
        run(tmp_path, system, steps=1000, evaluate_every=1000)


def test_a_validation_without_a_number_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="validation at step 4 gave nan"):
        run(tmp_path, validate=lambda _: float("nan"))
    assert not (tmp_path / "best.json").exists()


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = checkpoint.save_file

    def filling(tensors: dict[str, torch.Tensor], path: Path, notes: dict[str, str]) -> None:
        if "step-000000008" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(tensors, path, notes)

    monkeypatch.setattr(checkpoint, "save_file", filling)
    with pytest.raises(UserError, match="No space left"):
        run(tmp_path)
    monkeypatch.undo()
    found = checkpoint.Checkpoints(tmp_path / "checkpoints").load()
    assert found is not None
    assert found.step == 4
    assert not list(tmp_path.rglob("*.partial"))
    whole, _ = run(tmp_path / "whole")
    resumed, _ = run(tmp_path)
    assert same_weights(whole, resumed)


def test_checkpoints_leave_out_what_does_not_train(tmp_path: Path):
    run(tmp_path)
    found = checkpoint.Checkpoints(tmp_path / "checkpoints").load()
    assert found is not None
    assert not any("still" in name for name in found.tensors)
    assert "model/norm.running_mean" in found.tensors


def test_parameter_groups_must_be_complete(tmp_path: Path):
    class Forgetful(ToySystem):
        def parameter_groups(self, train: TrainConfig) -> list[dict[str, Any]]:
            return super().parameter_groups(train)[:1]

    with pytest.raises(ValueError, match="exactly once"):
        run(tmp_path, Forgetful())


def test_the_gradient_is_clipped_before_the_step(tmp_path: Path):
    """With AdamW's normalization a clip to zero must stop all movement but the decay."""
    still, _ = run(tmp_path / "0", clip_norm=0.0, weight_decay=0.0, learning_rate=0.1)
    assert torch.equal(still.text.weight, ToySystem().text.weight)


def test_bfloat16_runs_where_it_is_asked_for(tmp_path: Path):
    kinds: list[torch.dtype] = []
    system = ToySystem()
    system.image.register_forward_hook(lambda *facts: kinds.append(facts[2].dtype))
    run(tmp_path, system, precision="bfloat16")
    assert set(kinds) == {torch.bfloat16}
    assert system.image.weight.dtype == torch.float32


class OnDevice(ToyCorpus):
    """The toy corpus with its batches on the first CUDA device."""

    def images(self, indices: IndexArray, generator: torch.Generator | None = None) -> ImageBatch:
        """Return the images on the device."""
        return super().images(indices, generator).to("cuda")

    def texts(
        self,
        indices: IndexArray,
        generator: torch.Generator | None = None,
        view: TextView = "mask",
    ) -> TextBatch:
        """Return the captions on the device."""
        return super().texts(indices, generator, view).to("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_resumes_and_keeps_what_a_cpu_would(tmp_path: Path):
    system = ToySystem()
    _, here = run(tmp_path / "cpu", steps=8)
    result = train(
        system,
        OnDevice(),
        config(steps=8),
        seed=3,
        device="cuda",
        run_dir=tmp_path / "gpu",
        validate=score,
        progress=False,
    )
    assert result.steps == here.steps
    assert all(tensor.is_cuda and tensor.isfinite().all() for tensor in system.parameters())
    first = [
        read_history(folder / "history.jsonl")[0] for folder in (tmp_path / "cpu", tmp_path / "gpu")
    ]
    assert first[0]["gradient_norm"] == pytest.approx(first[1]["gradient_norm"], rel=0.5)
