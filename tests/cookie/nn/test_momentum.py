"""The moving average: another library's, by hand, and what it must leave alone."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from cookie.config import Config
from cookie.interfaces import ImageBatch, TextBatch
from cookie.model import Cookie
from cookie.nn.momentum import MovingAverage
from cookie.presets import preset

VOCABULARY = 40


def build(config: Config | None = None) -> Cookie:
    torch.manual_seed(0)
    return Cookie(config or preset("smoke"), VOCABULARY).train()


def frozen() -> Config:
    return dataclasses.replace(preset("smoke"), regime="frozen")


def disturb(model: nn.Module, seed: int) -> None:
    """Move what trains, as an optimizer does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.1 * torch.randn(value.shape, generator=generator))


def batch() -> tuple[ImageBatch, TextBatch]:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(1, VOCABULARY, (4, 6), generator=generator)
    pixels = torch.rand(4, 3, 32, 32, generator=generator)
    return ImageBatch(pixels=pixels), TextBatch(ids, torch.ones_like(ids, dtype=torch.bool))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.995])
def test_is_lightlys(momentum: float):
    utils = pytest.importorskip("lightly.models.utils")
    model, theirs = build(), build()
    utils.deactivate_requires_grad(theirs)
    average = MovingAverage(model, momentum)
    for step in range(5):
        disturb(model, step)
        average.follow(model)
        utils.update_momentum(model, theirs, m=momentum)
        for ours, other in zip(average.model.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(ours, other, rtol=1e-6, atol=1e-6)


def test_is_the_sum_by_hand():
    model = nn.Linear(2, 1)
    values: list[Tensor] = [model.weight.detach().clone()]
    average = MovingAverage(model, 0.9)
    for step in range(3):
        disturb(model, step)
        average.follow(model)
        values.append(model.weight.detach().clone())
    start, one, two, three = values
    expected = 0.9**3 * start + 0.1 * (0.9**2 * one + 0.9 * two + three)
    torch.testing.assert_close(average.model.get_parameter("weight"), expected)


def test_without_momentum_it_is_the_model():
    model = build()
    average = MovingAverage(model, 0.0)
    disturb(model, 1)
    average.follow(model)
    ours, theirs = average.model.state_dict(), model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_it_never_learns_and_leaves_the_model_as_it_is():
    model = build(frozen())
    trained = [name for name, value in model.named_parameters() if value.requires_grad]
    average = MovingAverage(model, 0.5)
    assert not any(value.requires_grad for value in average.parameters())
    assert [name for name, value in model.named_parameters() if value.requires_grad] == trained
    assert model.training
    assert not any(key.requires_grad for key in average.embed(*batch()))


def test_keys_are_what_evaluation_makes_of_its_weights():
    model = build()
    average = MovingAverage(model, 0.5)
    disturb(model, 1)
    average.follow(model)
    other = build().eval()
    other.load_state_dict(average.model.state_dict())
    images, texts = batch()
    expected = other.encode_images(images), other.encode_texts(texts)
    torch.manual_seed(5)
    found = average.embed(images, texts)
    after = torch.rand(1)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1)), "keys drew random numbers"
    assert not torch.equal(found[0], model.eval().encode_images(images))


def test_what_does_not_train_is_used_by_both_and_not_stored():
    model = build(frozen())
    average = MovingAverage(model, 0.5)
    ours = dict(average.model.named_parameters())
    for name, value in model.named_parameters():
        assert (ours[name] is value) == (not value.requires_grad), name
        assert (f"model.{name}" in average.tensors()) == value.requires_grad, name
    assert any(not value.requires_grad for value in model.parameters())


class Tied(nn.Module):
    """Two layers with one matrix, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(3)


def test_ties_stay_ties_and_buffers_are_taken_over():
    model = Tied()
    average = MovingAverage(model, 0.9)
    disturb(model, 1)
    model.norm(torch.rand(5, 3))
    average.follow(model)
    ours = average.model
    assert isinstance(ours, Tied)
    assert ours.second.weight is ours.first.weight
    assert torch.equal(ours.norm.running_mean, model.norm.running_mean)  # type: ignore[arg-type]
    assert ours.norm.num_batches_tracked == model.norm.num_batches_tracked == 1
    assert ours.norm.running_mean is not model.norm.running_mean
