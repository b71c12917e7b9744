"""Training with a queue: what the loss is compared with, what is saved, and what is left alone."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cookie.config import Config
from cookie.errors import UserError
from cookie.interfaces import LossOutput, Outside, TrainBatch
from cookie.model import Cookie
from cookie.presets import preset
from cookie.training.checkpoint import Checkpoints, load_tensors, load_weights
from cookie.training.distributed import Processes
from cookie.training.negatives import queued_negatives
from cookie.training.order import pair_batches
from cookie.training.step import Stepper
from cookie.training.trainer import train
from tests.cookie.training.peers import build_cookie, material
from tests.cookie.training.toy import ToyCorpus, ToySystem
from tests.cookie.training.toy import config as toy_config

CPU = torch.device("cpu")
QUEUE = 45  # which 16 do not divide
SEED = 3
every_kind = pytest.mark.parametrize("negatives", ["queue", "momentum"])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("material")


def settings(negatives: str, *, dropout: float = 0.0, **changes: Any) -> Config:  # noqa: ANN401
    """Return smoke settings; ``changes`` are to the training."""
    base = preset("smoke")
    defaults = {"steps": 8, "evaluate_every": 2, "precision": "float32"}
    return dataclasses.replace(
        base,
        text=dataclasses.replace(base.text, dropout=dropout),
        head=dataclasses.replace(base.head, dropout=dropout),
        loss=dataclasses.replace(
            base.loss, negatives=negatives, queue_size=QUEUE, momentum=0.7, temperature=0.5
        ),
        train=dataclasses.replace(base.train, **{**defaults, **changes}),
    )


def stepper_of(config: Config, cache: Path) -> Stepper:
    corpus, vocabulary_size = material(config, cache)
    torch.manual_seed(1)
    system = build_cookie(config, vocabulary_size).train()
    return Stepper(system, corpus, config, SEED, Processes(), CPU)


def batches(stepper: Stepper, steps: int) -> Iterator[tuple[int, TrainBatch]]:
    order = pair_batches(stepper.corpus.caption_image, 16, SEED)
    for step in range(steps):
        yield step, stepper.batch(step, next(order))


def losses(stepper: Stepper, steps: int = 6) -> Tensor:
    """Return (steps, losses): more than an epoch of 64 images, more than the queue holds."""
    return torch.stack([stepper.step(*each)[1] for each in batches(stepper, steps)])


Seen = tuple[tuple[Tensor, ...], Outside | None]


def watch(stepper: Stepper) -> list[Seen]:
    """Return a list that every call of the loss adds its arguments to, as they are then."""
    seen: list[Seen] = []
    system = stepper.module
    assert isinstance(system, Cookie)

    def contrast(embeddings: tuple[Tensor, ...], outside: Outside | None = None) -> LossOutput:
        copied = outside
        if outside is not None:
            tensors = (outside.images, outside.texts, outside.excluded)
            copied = Outside(*(tensor.clone() for tensor in tensors), outside.keys)
        seen.append((tuple(view.detach().clone() for view in embeddings), copied))
        return real(embeddings, outside)

    real, system.contrast = system.contrast, contrast  # type: ignore[method-assign]
    return seen


def compared(outside: Outside, row: int) -> set[tuple[float, ...]]:
    """Return the queued images and captions that a row is told from, as plain numbers."""
    counts = ~outside.excluded[row]
    pairs = torch.cat([outside.images[counts], outside.texts[counts]], dim=1)
    return {tuple(pair) for pair in pairs.tolist()}


@every_kind
def test_a_step_is_compared_with_the_newest_pairs_of_other_images(cache: Path, negatives: str):
    """Beside a list of what the loss was given before, image ids straight from the data."""
    stepper = stepper_of(settings(negatives), cache)
    seen, known = watch(stepper), deque[tuple[int, tuple[float, ...]]](maxlen=QUEUE)
    order, returned = pair_batches(stepper.corpus.caption_image, 16, SEED), 0
    for step in range(6):
        captions = next(order)
        stepper.step(step, stepper.batch(step, captions))
        embeddings, outside = seen[-1]
        assert outside is not None
        assert (outside.keys is not None) == (negatives == "momentum")
        images = stepper.corpus.caption_image[captions].tolist()
        for row, image in enumerate(images):
            assert compared(outside, row) == {pair for other, pair in known if other != image}
            returned += sum(other == image for other, _ in known)
        first, second = outside.keys or (embeddings[0], embeddings[2])
        pairs = torch.cat([first, second], dim=1).tolist()
        known.extend((image, tuple(pair)) for image, pair in zip(images, pairs, strict=True))
    assert returned, "no image came back while it was queued"


def test_momentum_keys_are_those_of_another_library_s_average(cache: Path):
    utils = pytest.importorskip("lightly.models.utils")
    stepper = stepper_of(settings("momentum", dropout=0.2), cache)
    seen, average = watch(stepper), stepper_of(settings("momentum", dropout=0.2), cache).module
    assert isinstance(average, Cookie)
    average.eval().requires_grad_(requires_grad=False)
    for step, batch in batches(stepper, 4):
        stepper.step(step, batch)
        expected = average.encode_images(batch.images), average.encode_texts(batch.texts)
        outside = seen[-1][1]
        assert outside is not None
        torch.testing.assert_close(outside.keys, expected, rtol=1e-5, atol=1e-6)
        utils.update_momentum(stepper.module, average, m=0.7)


def test_nothing_queued_is_the_batch_alone_under_the_same_random_numbers(cache: Path):
    """What negatives cost in randomness: nothing, so rows of the ablation stay paired."""
    first = {
        kind: losses(stepper_of(settings(kind, dropout=0.2), cache), 2)
        for kind in ("in_batch", "queue")
    }
    torch.testing.assert_close(first["queue"][0], first["in_batch"][0])
    assert first["queue"][1, 1] > first["in_batch"][1, 1], "negatives made it no harder"
    keyed = stepper_of(settings("momentum"), cache)
    names = keyed.step(*next(batches(keyed, 1)))[0]
    assert names == ["loss", "image_text", "image_image", "text_text", "gradient_norm"]


def test_the_random_numbers_after_a_step_are_those_without_keys(cache: Path):
    after = []
    for kind in ("in_batch", "momentum"):
        stepper = stepper_of(settings(kind, dropout=0.2), cache)
        stepper.step(*next(batches(stepper, 1)))
        after.append(torch.rand(1))
    assert torch.equal(*after)


@every_kind
@pytest.mark.parametrize("micro_batch", [5, 8])
def test_micro_batches_train_as_the_whole_batch_does(cache: Path, negatives: str, micro_batch: int):
    whole, parts = (
        stepper_of(settings(negatives, micro_batch=size), cache) for size in (None, micro_batch)
    )
    for stepper in (whole, parts):
        for group in stepper.optimizer.param_groups:
            group["eps"] = 0.1  # or Adam would blow rounding in gradients near 0 up to whole steps
    torch.testing.assert_close(losses(parts), losses(whole), rtol=1e-5, atol=1e-6)
    for (name, found), expected in zip(
        parts.tensors()[0].items(), whole.tensors()[0].values(), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, msg=name)


@every_kind
def test_the_average_is_no_part_of_the_system(cache: Path, negatives: str):
    stepper, plain = (stepper_of(settings(kind), cache) for kind in (negatives, "in_batch"))
    losses(stepper, 2)
    ours, theirs = stepper.module, plain.module
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    groups = [[len(group["params"]) for group in each.groups] for each in (stepper, plain)]
    assert groups[0] == groups[1]
    assert stepper.negatives is not None
    assert not any(value.requires_grad for value in stepper.negatives.parameters())
    assert all(value.grad is None for value in stepper.negatives.parameters())


def learn(
    folder: Path, config: Config, cache: Path, validate: Callable[[nn.Module], float]
) -> None:
    corpus, vocabulary_size = material(config, cache)
    torch.manual_seed(1)
    train(
        Cookie(config, vocabulary_size),
        corpus,
        config,
        seed=SEED,
        device="cpu",
        run_dir=folder,
        validate=validate,
        progress=False,
    )


def score(system: nn.Module) -> float:
    """Return a number that changes with training."""
    return float(system.get_parameter("temperature.log_scale").detach())


class KilledError(Exception):
    """Stands for whatever ends a process."""


@every_kind
def test_a_run_that_was_cut_off_ends_with_the_same_bits(
    tmp_path: Path, cache: Path, negatives: str
):
    config = settings(negatives, dropout=0.2)
    learn(tmp_path / "whole", config, cache, score)
    for validations in (2, 2):
        left = iter(range(validations - 1))

        def dying(system: nn.Module, left: Iterator[int] = left) -> float:
            if next(left, None) is None:
                raise KilledError
            return score(system)

        with pytest.raises(KilledError):
            learn(tmp_path / "cut", config, cache, dying)
    learn(tmp_path / "cut", config, cache, score)
    whole, cut = (Checkpoints(tmp_path / name / "checkpoints").load() for name in ("whole", "cut"))
    assert whole is not None
    assert cut is not None
    assert whole.tensors.keys() == cut.tensors.keys()
    assert all(torch.equal(cut.tensors[name], whole.tensors[name]) for name in whole.tensors)
    kept = {name.split(".")[0] for name in whole.tensors if name.startswith("negatives/")}
    assert kept == {"negatives/queue"} | (
        {"negatives/average"} if negatives == "momentum" else set()
    )


@every_kind
def test_a_queue_that_was_lost_would_be_noticed(tmp_path: Path, cache: Path, negatives: str):
    """The test above can fail: a step from an empty queue is another step."""
    steppers = [stepper_of(settings(negatives), cache) for _ in range(2)]
    losses(steppers[0], 4)
    tensors, facts = steppers[0].tensors()
    pruned = {name: value for name, value in tensors.items() if "queue" not in name}
    steppers[1].load(pruned, facts)
    fifth = [list(batches(stepper, 5))[4] for stepper in steppers]
    found = [each.step(*one)[1] for each, one in zip(steppers, fifth, strict=True)]
    assert not torch.allclose(*found)


@every_kind
def test_what_inference_loads_is_the_trained_model_alone(
    tmp_path: Path, cache: Path, negatives: str
):
    config = settings(negatives)
    learn(tmp_path, config, cache, score)
    plain = Cookie(settings("in_batch"), material(config, cache)[1])
    assert load_tensors(tmp_path / "best.safetensors").keys() == plain.state_dict().keys()
    load_weights(tmp_path, "best", plain)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"queue_size": 15}, "loss.queue_size is 15, which does not hold a batch of 16: choose 16"),
        ({"queue_size": 0}, "loss.queue_size is 0, which"),
        ({"momentum": 1.0}, "loss.momentum is 1.0: choose 0 or more, and less than 1"),
        ({"momentum": -0.1}, "loss.momentum is -0.1"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_written(
    tmp_path: Path, cache: Path, changes: dict[str, Any], words: str
):
    config = settings("momentum")
    wrong = dataclasses.replace(config, loss=dataclasses.replace(config.loss, **changes))
    with pytest.raises(UserError, match=words):
        learn(tmp_path / "run", wrong, cache, score)
    assert not (tmp_path / "run").exists()


def test_a_queue_of_just_a_batch_is_enough(cache: Path):
    config = settings("queue")
    least = dataclasses.replace(config, loss=dataclasses.replace(config.loss, queue_size=16))
    assert losses(stepper_of(least, cache), 3).isfinite().all()


def test_a_system_that_reads_more_than_embeddings_is_refused(tmp_path: Path):
    config = toy_config()
    asked = dataclasses.replace(config, loss=dataclasses.replace(config.loss, negatives="queue"))
    with pytest.raises(UserError, match="The loss of ToySystem reads more than embeddings"):
        Stepper(ToySystem(), ToyCorpus(), asked, 0, Processes(), CPU)
    assert queued_negatives(ToySystem(), config, CPU) is None


def test_a_batch_without_image_ids_is_refused(cache: Path):
    stepper = stepper_of(settings("queue"), cache)
    step, batch = next(batches(stepper, 1))
    with pytest.raises(ValueError, match="a batch has no image ids"):
        stepper.step(step, dataclasses.replace(batch, image_ids=None))


def test_image_ids_are_asked_for_where_there_is_a_queue(cache: Path):
    for kind in ("in_batch", "queue"):
        stepper = stepper_of(settings(kind), cache)
        _, batch = next(batches(stepper, 1))
        if kind == "in_batch":
            assert batch.image_ids is None
            continue
        captions = next(pair_batches(stepper.corpus.caption_image, 16, SEED))
        assert batch.image_ids is not None
        assert batch.image_ids.tolist() == stepper.corpus.caption_image[captions].tolist()
