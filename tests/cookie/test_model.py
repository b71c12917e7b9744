"""COOKIE as a whole: one shared module on two separate paths, three losses that add up."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cookie.config import Config, LossConfig
from cookie.interfaces import (
    DualEncoder,
    ImageBatch,
    Outside,
    TextBatch,
    TrainableSystem,
    TrainBatch,
)
from cookie.model import Cookie, weighted_sum
from cookie.nn.losses import info_nce, nt_xent
from cookie.presets import preset

VOCABULARY = 40


def config(**losses: Any) -> Config:  # noqa: ANN401
    return dataclasses.replace(preset("smoke"), loss=LossConfig(**losses))


def build(settings: Config | None = None, *, trained: bool = True) -> Cookie:
    """A model in evaluation mode whose shared transformer, if ``trained``, is no identity."""
    torch.manual_seed(0)
    model = Cookie(settings or config(), VOCABULARY).eval()
    if trained:
        for parameter in model.shared.parameters():
            nn.init.normal_(parameter, std=0.2)
    return model


def images(seed: int = 0, rows: int = 4) -> ImageBatch:
    generator = torch.Generator().manual_seed(seed)
    return ImageBatch(pixels=torch.rand(rows, 3, 32, 32, generator=generator))


def texts(seed: int = 0, lengths: tuple[int, ...] = (3, 7, 5, 2)) -> TextBatch:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(1, VOCABULARY, mask.shape, generator=generator)
    return TextBatch(ids * mask, mask)


def batch(*, second_views: bool = True) -> TrainBatch:
    if not second_views:
        return TrainBatch(images(), texts())
    return TrainBatch(images(), texts(), images(1), texts(1, (2, 4, 5, 1)))


def test_is_what_the_interfaces_ask_for():
    model = build()
    assert isinstance(model, DualEncoder)
    assert isinstance(model, TrainableSystem)


def test_embeddings_are_unit_rows_in_float32():
    model = build()
    for autocast in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            pair = model.encode_images(images()), model.encode_texts(texts())
        for embedded in pair:
            assert embedded.shape == (4, 64)
            assert embedded.dtype == torch.float32
            torch.testing.assert_close(embedded.norm(dim=1), torch.ones(4))


def test_autocast_moves_embeddings_little():
    model = build()
    exact = model.encode_texts(texts())
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.encode_texts(texts())
    assert not torch.equal(rough, exact)
    assert (rough * exact).sum(dim=1).min() > 0.99


def test_a_row_depends_neither_on_its_batch_nor_on_padding():
    model = build()
    together = model.encode_images(images()), model.encode_texts(texts())
    for row, length in enumerate((3, 7, 5, 2)):
        image = ImageBatch(pixels=images().data[row : row + 1])
        text = TextBatch(texts().ids[row : row + 1, :length], texts().mask[row : row + 1, :length])
        torch.testing.assert_close(
            model.encode_images(image)[0], together[0][row], rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(
            model.encode_texts(text)[0], together[1][row], rtol=1e-4, atol=1e-5
        )


def test_the_shared_transformer_stands_on_both_paths():
    model = build()
    before = model.encode_images(images()), model.encode_texts(texts())
    with torch.no_grad():
        model.shared.layers[0].mlp[0].weight.add_(1.0)  # type: ignore[index,union-attr]
    assert not torch.allclose(model.encode_images(images()), before[0], atol=1e-3)
    assert not torch.allclose(model.encode_texts(texts()), before[1], atol=1e-3)


def test_both_paths_teach_the_shared_transformer():
    for path in ("images", "texts"):
        model = build()
        embedded = (
            model.encode_images(images()) if path == "images" else model.encode_texts(texts())
        )
        embedded[:, 0].sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in model.shared.layers.parameters())


def test_the_shared_transformer_is_saved_once():
    model = build()
    state = model.state_dict()
    places = {name.split(".")[0] for name in state if "shared" in name}
    assert places == {"shared"}
    storages = [tensor.data_ptr() for tensor in state.values() if tensor.numel()]
    assert len(storages) == len(set(storages))


def test_a_saved_model_is_the_same_model():
    model, other = build(), Cookie(config(), VOCABULARY).eval()
    assert not torch.allclose(other.encode_texts(texts()), model.encode_texts(texts()))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.encode_texts(texts()), model.encode_texts(texts()))
    assert torch.equal(other.encode_images(images()), model.encode_images(images()))


def by_hand(model: Cookie, given: TrainBatch) -> dict[str, Tensor]:
    """Every loss from embeddings made one view at a time."""
    assert given.images_second is not None
    assert given.texts_second is not None
    scale = model.temperature()
    form = nt_xent if model.loss.views == "nt_xent" else info_nce
    first = model.encode_images(given.images), model.encode_texts(given.texts)
    second = model.encode_images(given.images_second), model.encode_texts(given.texts_second)
    return {
        "image_text": info_nce(*first, scale),
        "image_image": form(first[0], second[0], scale),
        "text_text": form(first[1], second[1], scale),
    }


@pytest.mark.parametrize("views", ["info_nce", "nt_xent"])
def test_the_total_is_the_weighted_sum_of_three_losses(views: str):
    model = build(config(image_text=0.7, image_image=0.2, text_text=0.4, views=views))
    found, expected = model.training_loss(batch()), by_hand(model, batch())
    assert found.parts.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found.parts[name], value.detach(), rtol=1e-4, atol=1e-5)
        assert not found.parts[name].requires_grad
    total = sum(getattr(model.loss, name) * value for name, value in expected.items())
    torch.testing.assert_close(found.total, total, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("views", ["info_nce", "nt_xent"])
def test_the_image_text_loss_alone_looks_outside_the_batch(views: str):
    model, generator = build(config(views=views)), torch.Generator().manual_seed(4)
    embeddings = model.embed(batch())
    images, texts = nn.functional.normalize(torch.randn(2, 6, 64, generator=generator), dim=-1)
    outside = Outside(images, texts, torch.rand(4, 6, generator=generator) < 0.3)
    plain, found = model.contrast(embeddings), model.contrast(embeddings, outside)
    expected = info_nce(embeddings[0], embeddings[2], model.temperature(), outside)
    torch.testing.assert_close(found.parts["image_text"], expected.detach())
    assert found.parts["image_text"] > plain.parts["image_text"]
    for name in ("image_image", "text_text"):
        assert torch.equal(found.parts[name], plain.parts[name])
    change = found.parts["image_text"] - plain.parts["image_text"]
    torch.testing.assert_close(found.total - plain.total, change)


@pytest.mark.parametrize(
    ("weights", "image_views", "text_view", "parts"),
    [
        ({}, 2, "mask", {"image_text", "image_image", "text_text"}),
        ({"image_image": 0.0}, 1, "mask", {"image_text", "text_text"}),
        ({"text_text": 0.0}, 2, None, {"image_text", "image_image"}),
        ({"image_image": 0.0, "text_text": 0.0}, 1, None, {"image_text"}),
    ],
)
def test_a_loss_of_weight_zero_costs_nothing(
    weights: dict[str, float], image_views: int, text_view: str | None, parts: set[str]
):
    model = build(config(**weights))
    assert (model.image_views, model.text_view) == (image_views, text_view)
    rows: dict[str, int] = {}
    for name, tower in (("image", model.image_tower), ("text", model.text_tower)):
        tower.embedding.register_forward_hook(
            lambda *given, name=name: rows.update({name: len(given[-1])})
        )
    assert model.training_loss(batch()).parts.keys() == parts
    assert rows == {"image": 4 * image_views, "text": 8 if text_view else 4}


def test_only_the_views_that_are_asked_for_are_needed():
    model = build(config(image_image=0.0, text_text=0.0))
    alone = model.training_loss(batch(second_views=False)).total
    assert torch.equal(alone, model.training_loss(batch()).total)


def test_each_encoder_is_called_once_a_step():
    model, calls = build(), []
    for tower in (model.image_tower, model.text_tower):
        tower.encoder.register_forward_hook(lambda module, *_: calls.append(type(module).__name__))
    model.training_loss(batch())
    assert calls == ["VisualEncoder", "TextEncoder"]


@pytest.mark.parametrize("text", ["mask", "delete", "dropout"])
def test_the_text_view_is_the_configs(text: str):
    augment = dataclasses.replace(config().augment, text=text)
    assert Cookie(dataclasses.replace(config(), augment=augment), VOCABULARY).text_view == text


@pytest.mark.parametrize("pooling", ["mean", "max", "gpo"])
def test_everything_gets_a_gradient(pooling: str):
    head = dataclasses.replace(config().head, pooling=pooling, token_dropout=0.3)
    model = build(dataclasses.replace(config(), head=head)).train()
    model.training_loss(batch()).total.backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None]
    assert silent == []
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("autocast", [False, True])
def test_a_handful_of_pairs_is_learned_by_heart(autocast: bool):
    head = dataclasses.replace(config().head, dropout=0.0)
    model = build(dataclasses.replace(config(), head=head), trained=False).train()
    optimizer = torch.optim.AdamW(model.parameter_groups(config().train))
    for _ in range(40):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = model.training_loss(batch())
        loss.total.backward()
        optimizer.step()
    model.eval()
    scores = model.encode_images(images()) @ model.encode_texts(texts()).T
    assert scores.argmax(dim=0).tolist() == scores.argmax(dim=1).tolist() == [0, 1, 2, 3]
    assert loss.parts["image_text"] < 0.3


def test_frozen_encoders_may_be_run_ahead():
    """Cached tokens, of images and of captions, give the embeddings that pixels and ids give."""
    model = build(dataclasses.replace(config(), regime="frozen"))
    assert model.text_layers is None
    with torch.no_grad():
        grid = ImageBatch(tokens=model.image_tower.encoder(images()))
        words = dataclasses.replace(texts(), tokens=model.text_tower.encoder(texts()))
    assert torch.equal(model.encode_images(grid), model.encode_images(images()))
    assert torch.equal(model.encode_texts(words), model.encode_texts(texts()))


def test_in_the_frozen_regime_only_what_stands_on_the_encoders_is_trained():
    model = build(dataclasses.replace(config(), regime="frozen")).train()
    groups = model.parameter_groups(config().train)
    assert {group["name"] for group in groups} == {"head", "head_no_decay"}
    grouped = sum(p.numel() for group in groups for p in group["params"])
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert grouped == trained


def test_encoders_have_their_own_rate():
    train = dataclasses.replace(config().train, learning_rate=1.0, encoder_rate=0.5)
    model = build()
    groups = {group["name"]: group for group in model.parameter_groups(train)}
    for name, group in groups.items():
        assert group["lr"] == (0.5 if name.startswith("encoder") else 1.0)
        assert (group["weight_decay"] == 0) == name.endswith("no_decay")
    kept = {id(p) for p in groups["head_no_decay"]["params"]}
    assert id(model.temperature.log_scale) in kept
    assert id(model.image_tower.projection.positions) in kept


@pytest.mark.parametrize("part", ["encode_images", "encode_texts", "training_loss"])
def test_is_traced_without_a_break(part: str):
    """What the compiler would be given; a break would cost speed on every step."""
    model = build().train()
    given = {"encode_images": images(), "encode_texts": texts(), "training_loss": batch()}[part]
    torch._dynamo.reset()
    compiled = torch.compile(getattr(model, part), fullgraph=True, backend="eager")
    torch.manual_seed(5)
    found = compiled(given)
    torch.manual_seed(5)
    expected = getattr(model, part)(given)
    if part == "training_loss":
        found, expected = found.total, expected.total
    torch.testing.assert_close(found, expected)


def test_weighted_sum_by_hand():
    parts = {"image_text": torch.tensor(2.0), "text_text": torch.tensor(5.0)}
    output = weighted_sum(parts, LossConfig(image_text=0.5, image_image=9.0, text_text=0.1))
    assert output.total.item() == pytest.approx(1.5)
    assert output.parts == parts
