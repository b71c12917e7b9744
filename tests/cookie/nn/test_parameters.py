"""Parameter groups: every trained parameter once, at the right rate and decay."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cookie.config import TrainConfig
from cookie.nn.parameters import freeze, parameter_groups

TRAIN = TrainConfig(learning_rate=1e-3, encoder_rate=1e-5, weight_decay=0.1)


class Example(nn.Module):
    """One parameter of every kind, in an encoder and out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict(
            {"words": nn.Embedding(7, 4), "conv": nn.Conv2d(3, 4, 3), "norm": nn.GroupNorm(2, 4)}
        )
        self.linear = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.positions = nn.Parameter(torch.zeros(5, 4))
        self.log_scale = nn.Parameter(torch.zeros(()))


def named(model: nn.Module, groups: list[dict[str, Any]]) -> dict[str, set[str]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {group["name"]: {names[id(p)] for p in group["params"]} for group in groups}


def test_every_parameter_is_in_the_group_it_belongs_to():
    model = Example()
    groups = parameter_groups(model, [model.encoder], TRAIN)
    assert named(model, groups) == {
        "encoder": {"encoder.conv.weight"},
        "encoder_no_decay": {
            "encoder.words.weight",
            "encoder.conv.bias",
            "encoder.norm.weight",
            "encoder.norm.bias",
        },
        "head": {"linear.weight"},
        "head_no_decay": {"linear.bias", "norm.weight", "norm.bias", "positions", "log_scale"},
    }


def test_rates_and_decay():
    model = Example()
    groups = {group["name"]: group for group in parameter_groups(model, [model.encoder], TRAIN)}
    rates = {name: group["lr"] for name, group in groups.items()}
    decays = {name: group["weight_decay"] for name, group in groups.items()}
    no_decay = {"encoder_no_decay": 0.0, "head_no_decay": 0.0}
    assert decays == {"encoder": 0.1, "head": 0.1, **no_decay}
    assert {rates["encoder"], rates["encoder_no_decay"]} == {1e-5}
    assert {rates["head"], rates["head_no_decay"]} == {1e-3}


def test_what_is_frozen_is_left_out():
    model = Example()
    freeze(model.encoder)
    assert not model.encoder.training
    groups = parameter_groups(model, [model.encoder], TRAIN)
    assert {group["name"] for group in groups} == {"head", "head_no_decay"}


def test_a_tied_parameter_comes_once():
    model = Example()
    model.output = nn.Linear(4, 5)
    model.output.weight = model.positions
    parameters = [p for g in parameter_groups(model, [], TRAIN) for p in g["params"]]
    assert len(parameters) == len({id(p) for p in parameters}) == len(list(model.parameters()))


def test_adamw_takes_them():
    model = Example()
    groups = parameter_groups(model, [model.encoder], TRAIN)
    optimizer = torch.optim.AdamW(groups, lr=1.0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer.step()  # with zero gradients nothing but decay can move a parameter
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"encoder.conv.weight", "linear.weight"}
