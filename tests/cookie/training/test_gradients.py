"""Micro-batches: the gradients of the whole batch, with the activations of a part of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cookie.config import Config
from cookie.errors import UserError
from cookie.interfaces import ImageBatch, TextBatch, TrainBatch
from cookie.model import Cookie
from cookie.nn.batches import split_batch
from cookie.presets import preset
from cookie.training.distributed import Processes
from cookie.training.gradients import Backpropagation
from cookie.training.precision import Precision, autocast
from tests.cookie.training.toy import ToyCorpus, ToySystem
from tests.cookie.training.toy import config as toy_config

CPU = torch.device("cpu")
ROWS = 11
VOCABULARY = 40


def settings(dropout: float, **losses: Any) -> Config:  # noqa: ANN401
    """Smoke settings with both unimodal losses at full weight.

    A mild temperature: a sharp one magnifies the rounding of embeddings, on which the number of
    rows in a matrix product has an influence.
    """
    base = preset("smoke")
    weights = {"image_image": 1.0, "text_text": 1.0, "temperature": 0.5, **losses}
    return dataclasses.replace(
        base,
        text=dataclasses.replace(base.text, dropout=dropout),
        head=dataclasses.replace(
            base.head, dropout=dropout, token_dropout=dropout, channel_dropout=dropout
        ),
        loss=dataclasses.replace(base.loss, **weights),
    )


def build(config: Config) -> Cookie:
    torch.manual_seed(0)
    system = Cookie(config, VOCABULARY).train()
    for parameter in system.shared.parameters():
        nn.init.normal_(parameter, std=0.1)
    return system


def images(seed: int) -> ImageBatch:
    generator = torch.Generator().manual_seed(seed)
    return ImageBatch(pixels=torch.rand(ROWS, 3, 32, 32, generator=generator))


def texts(seed: int) -> TextBatch:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 9, (ROWS, 1), generator=generator)
    mask = torch.arange(9) < lengths
    return TextBatch(torch.randint(1, VOCABULARY, mask.shape, generator=generator) * mask, mask)


BATCH = TrainBatch(images(0), texts(1), images(2), texts(3))


def run(
    system: Cookie, micro_batch: int | None, precision: Precision = "float32"
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss and all gradients."""
    system.zero_grad()
    torch.manual_seed(7)
    backpropagate = Backpropagation(Processes(), CPU, precision, micro_batch)
    loss = backpropagate(system, BATCH, ROWS).total.detach()
    return loss, gradients(system)


def gradients(system: nn.Module) -> dict[str, Tensor]:
    return {
        name: parameter.grad.clone()
        for name, parameter in system.named_parameters()
        if parameter.grad is not None
    }


def oracle(
    system: Cookie, micro_batch: int, precision: Precision = "float32"
) -> tuple[Tensor, dict[str, Tensor]]:
    """Embed the same parts in the same order, keep all their graphs, and differentiate once."""
    system.zero_grad()
    torch.manual_seed(7)
    embedded = []
    for part in split_batch(BATCH, micro_batch):
        with autocast(CPU, precision):
            embedded.append(system.embed(part))
    whole = tuple(torch.cat(pieces) for pieces in zip(*embedded, strict=True))
    loss = system.contrast(whole).total
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), gradients(system)


every_form = pytest.mark.parametrize("views", ["info_nce", "nt_xent"])
every_size = pytest.mark.parametrize("micro_batch", [1, 3, 10])


@every_form
@every_size
def test_without_dropout_it_is_the_whole_batch(micro_batch: int, views: str):
    system = build(settings(0.0, views=views))
    torch.testing.assert_close(run(system, micro_batch), run(system, None), rtol=1e-6, atol=1e-6)


@every_form
@every_size
def test_with_dropout_the_second_pass_repeats_the_first(micro_batch: int, views: str):
    system = build(settings(0.3, views=views))
    found, expected = run(system, micro_batch), oracle(system, micro_batch)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(found[0], run(system, None)[0]), "dropout was off"


def test_other_random_numbers_would_be_noticed(monkeypatch: pytest.MonkeyPatch):
    system = build(settings(0.3))
    expected = oracle(system, 3)[1]
    monkeypatch.setattr("cookie.training.gradients._restore", lambda device, state: None)
    found = run(system, 3)[1]
    weight = "image_tower.projection.linear.weight"
    assert (found[weight] - expected[weight]).norm() > 0.1 * expected[weight].norm()


def test_parts_do_not_share_their_masks():
    system = build(settings(0.3))
    same = TrainBatch(*(rows_alike(view) for view in (BATCH.images, BATCH.texts)))
    system.image_views, system.text_view = 1, None
    seen: list[Tensor] = []
    system.contrast = lambda views: seen.append(views[1]) or real(views)  # type: ignore[method-assign, assignment, func-returns-value]
    real = Cookie.contrast.__get__(system)
    Backpropagation(Processes(), CPU, "float32", 1)(system, same, ROWS)
    rows = seen[0]
    assert len(torch.unique(rows.detach().round(decimals=4), dim=0)) == ROWS


def rows_alike(view: ImageBatch | TextBatch) -> Any:  # noqa: ANN401
    """Return the view with its first row in place of every row."""
    if isinstance(view, ImageBatch):
        return ImageBatch(pixels=view.data[:1].expand_as(view.data))
    return TextBatch(view.ids[:1].expand_as(view.ids), view.mask[:1].expand_as(view.mask))


def test_a_batch_of_one_part_takes_the_ordinary_way():
    system = build(settings(0.3))
    for micro_batch in (ROWS, ROWS + 1):
        torch.testing.assert_close(run(system, micro_batch), run(system, None), rtol=0, atol=0)


def test_under_autocast_weights_still_get_their_gradients():
    system = build(settings(0.3))
    found, expected = run(system, 4, "bfloat16"), oracle(system, 4, "bfloat16")
    assert found[1].keys() == expected[1].keys()
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)


def test_the_random_state_ends_where_one_pass_leaves_it():
    system = build(settings(0.3))
    run(system, 4)
    after = torch.rand(1)
    oracle(system, 4)
    assert torch.equal(after, torch.rand(1))


def test_only_a_part_s_activations_are_alive_at_a_time():
    system = build(settings(0.1))
    whole, part = kept_bytes(system, None), kept_bytes(system, 2)
    assert part < 0.3 * whole  # 2 of 11 rows, and the weights' conversions


def kept_bytes(system: Cookie, micro_batch: int | None) -> int:
    """Return the largest number of bytes that graphs held at once."""
    alive = most = 0

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal alive, most
            self.tensor, self.size = tensor, tensor.numel() * tensor.element_size()
            alive += self.size
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= self.size

    weights = {parameter.data_ptr() for parameter in system.parameters()}

    def keep(tensor: Tensor) -> Kept | Tensor:
        return tensor if tensor.data_ptr() in weights else Kept(tensor)

    def give(kept: Kept | Tensor) -> Tensor:
        return kept.tensor if isinstance(kept, Kept) else kept

    with torch.autograd.graph.saved_tensors_hooks(keep, give):
        run(system, micro_batch)
    assert alive == 0
    return most


@pytest.mark.parametrize("micro_batch", [0, -3])
def test_a_micro_batch_of_nothing_is_refused(micro_batch: int):
    backpropagate = Backpropagation(Processes(), CPU, "float32", micro_batch)
    with pytest.raises(UserError, match=f"train.micro_batch is {micro_batch}: choose 1 or more"):
        backpropagate.check(build(settings(0.0)))


def test_a_system_that_reads_more_than_embeddings_is_refused(tmp_path: Path):
    from cookie.training.trainer import train

    with pytest.raises(UserError, match="The loss of ToySystem reads more than embeddings"):
        train(
            ToySystem(),
            ToyCorpus(),
            toy_config(micro_batch=2),
            seed=0,
            device="cpu",
            run_dir=tmp_path,
            validate=lambda _: 0.0,
            progress=False,
        )
    assert not list(tmp_path.iterdir())
