"""The plain dual-stream: COOKIE without what COOKIE adds."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from baselines.dual_stream import DualStream, DualStreamLoss
from cookie.config import Config, LossConfig
from cookie.errors import UserError
from cookie.interfaces import (
    ContrastiveSystem,
    DualEncoder,
    ImageBatch,
    Outside,
    TextBatch,
    TrainableSystem,
    TrainBatch,
)
from cookie.model import Cookie
from cookie.nn.batches import split_batch
from cookie.nn.losses import hardest_triplet, info_nce, sum_triplet
from cookie.presets import preset
from cookie.training.distributed import Processes
from tests.cookie.training.peers import Case, run_peers, train_cases

VOCABULARY = 40
LOSSES: tuple[DualStreamLoss, ...] = ("infonce", "triplet")
every_loss = pytest.mark.parametrize("loss", LOSSES)


def build(loss: DualStreamLoss = "infonce", config: Config | None = None) -> DualStream:
    torch.manual_seed(0)
    return DualStream(config or preset("smoke"), VOCABULARY, loss).eval()


def images(rows: int = 4) -> ImageBatch:
    return ImageBatch(
        pixels=torch.rand(rows, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    )


def texts() -> TextBatch:
    mask = torch.arange(6) < torch.tensor([3, 6, 5, 2])[:, None]
    ids = torch.randint(1, VOCABULARY, (4, 6), generator=torch.Generator().manual_seed(2))
    return TextBatch(ids * mask, mask)


@every_loss
def test_is_what_the_interfaces_ask_for(loss: DualStreamLoss):
    model = build(loss)
    assert isinstance(model, DualEncoder)
    assert isinstance(model, TrainableSystem)
    assert isinstance(model, ContrastiveSystem)
    assert (model.image_views, model.text_view, model.text_layers) == (1, None, None)


@every_loss
def test_the_loss_is_of_the_embeddings(loss: DualStreamLoss):
    config = dataclasses.replace(
        preset("smoke"), loss=LossConfig(temperature=0.2, triplet_margin=0.3, image_text=9.0)
    )
    model = build(loss, config)
    pair = model.encode_images(images()), model.encode_texts(texts())
    expected = info_nce(*pair, 5.0) if loss == "infonce" else hardest_triplet(*pair, 0.3)
    found = model.training_loss(TrainBatch(images(), texts()))
    torch.testing.assert_close(found.total, expected)
    assert found.parts.keys() == {"image_text"}
    assert torch.equal(found.parts["image_text"], found.total.detach())


@pytest.mark.parametrize(
    ("negatives", "hinges"), [("hardest", hardest_triplet), ("all", sum_triplet)]
)
def test_the_triplet_takes_the_negatives_it_is_told_to(
    negatives: Literal["hardest", "all"], hinges: Callable[..., torch.Tensor]
):
    config = dataclasses.replace(preset("smoke"), loss=LossConfig(triplet_negatives=negatives))
    model = build("triplet", config)
    pair = model.encode_images(images()), model.encode_texts(texts())
    torch.testing.assert_close(model.contrast(pair).total, hinges(*pair, 0.2))


def test_negatives_from_outside_the_batch_enter_infonce():
    model, generator = build(), torch.Generator().manual_seed(4)
    pair = model.encode_images(images()), model.encode_texts(texts())
    queued = torch.nn.functional.normalize(torch.randn(2, 5, 64, generator=generator), dim=-1)
    outside = Outside(queued[0], queued[1], torch.rand(4, 5, generator=generator) < 0.5)
    found = model.contrast(pair, outside).total
    scale = 1 / preset("smoke").loss.temperature
    torch.testing.assert_close(found, info_nce(*pair, scale, outside))
    assert found > model.contrast(pair).total


@pytest.mark.parametrize("negatives", ["queue", "momentum"])
def test_the_triplet_loss_stays_in_the_batch(negatives: str):
    config = dataclasses.replace(preset("smoke"), loss=LossConfig(negatives=negatives))
    with pytest.raises(UserError, match=f"loss.negatives is {negatives}, but the triplet loss"):
        build("triplet", config)
    assert build("infonce", config).temperature is not None


def test_second_views_are_not_looked_at():
    model = build()
    nonsense = ImageBatch(pixels=torch.full((4, 3, 32, 32), torch.nan))
    found = model.training_loss(TrainBatch(images(), texts(), nonsense, None))
    assert torch.equal(found.total, model.training_loss(TrainBatch(images(), texts())).total)


def test_is_cookie_without_the_shared_transformer():
    """Same names and shapes everywhere else, and the same embeddings once that is gone."""
    plain, cookie = build(), Cookie(preset("smoke"), VOCABULARY).eval()
    ours, theirs = plain.state_dict(), cookie.state_dict()
    assert {name for name in theirs if name not in ours} == {
        name for name in theirs if name.startswith("shared.")
    }
    assert all(ours[name].shape == theirs[name].shape for name in ours)
    cookie.load_state_dict(ours, strict=False)
    cookie.shared = nn.Identity()  # type: ignore[assignment]
    cookie.shared.forward = lambda tokens, mask=None: tokens  # type: ignore[method-assign]
    assert torch.equal(plain.encode_images(images()), cookie.encode_images(images()))
    assert torch.equal(plain.encode_texts(texts()), cookie.encode_texts(texts()))


def test_without_attention_an_image_is_the_mean_of_its_tokens_taken_alone():
    model = build()
    tokens = torch.randn(1, 16, 64)
    with torch.no_grad():
        states = model.image_tower.read(ImageBatch(tokens=tokens)).states
        changed = tokens.clone()
        changed[0, 3] += 1.0
        other = model.image_tower.read(ImageBatch(tokens=changed)).states
    moved = (states != other).any(dim=-1)[0]
    assert moved.tolist() == [index == 3 for index in range(16)]


@every_loss
def test_a_handful_of_pairs_is_learned_by_heart(loss: DualStreamLoss):
    model = build(loss).train()
    optimizer = torch.optim.AdamW(model.parameter_groups(preset("smoke").train))
    for _ in range(60):
        optimizer.zero_grad()
        output = model.training_loss(TrainBatch(images(), texts()))
        output.total.backward()
        optimizer.step()
    model.eval()
    scores = model.encode_images(images()) @ model.encode_texts(texts()).T
    assert scores.argmax(dim=0).tolist() == scores.argmax(dim=1).tolist() == [0, 1, 2, 3]


@every_loss
def test_everything_that_is_trained_gets_a_gradient(loss: DualStreamLoss):
    model = build(loss).train()
    model.training_loss(TrainBatch(images(), texts())).total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_the_triplet_has_no_temperature():
    names = [name for name, _ in build("triplet").named_parameters()]
    assert not any("temperature" in name for name in names)


def test_parameter_groups_hold_everything_once():
    model = build()
    train = dataclasses.replace(preset("smoke").train, learning_rate=1.0, encoder_rate=0.5)
    groups = model.parameter_groups(train)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    rates = {group["name"].split("_")[0]: group["lr"] for group in groups}
    assert rates == {"encoder": 0.5, "head": 1.0}


def test_frozen_encoders_do_not_learn():
    model = build(config=dataclasses.replace(preset("smoke"), regime="frozen")).train()
    model.training_loss(TrainBatch(images(), texts())).total.backward()
    for tower in (model.image_tower, model.text_tower):
        assert not tower.encoder.training
        assert all(p.grad is None for p in tower.encoder.parameters())


@every_loss
def test_the_loss_is_that_of_the_embeddings_in_parts(loss: DualStreamLoss):
    model, batch = build(loss), TrainBatch(images(), texts())
    parts = [model.embed(part) for part in split_batch(batch, 3)]
    whole = tuple(torch.cat(pieces) for pieces in zip(*parts, strict=True))
    expected = model.training_loss(batch)
    torch.testing.assert_close(model.contrast(whole).total, expected.total)


def test_processes_train_as_one_would(tmp_path: Path):
    cases = {
        "infonce": Case(functools.partial(DualStream, loss="infonce"), batch_size=9),
        "triplet": Case(functools.partial(DualStream, loss="triplet"), batch_size=9),
        "parts": Case(functools.partial(DualStream, loss="triplet"), batch_size=9, micro_batch=2),
    }
    work = functools.partial(train_cases, cases)
    expected = work(Processes(), tmp_path)
    for peer in run_peers(2, work, tmp_path):
        assert peer.keys() == expected.keys()
        for name, tensor in expected.items():
            difference = (peer[name] - tensor).abs().max()
            assert difference < 1e-6 * max(1, tensor.abs().max()), name
