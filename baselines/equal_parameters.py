"""Controls of the size of COOKIE: how wide a perceptron makes up for what a control lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from cookie.config import Config, HeadConfig
from cookie.nn.shared_transformer import SharedTransformer
from cookie.nn.tower import Tower

Between = Callable[[HeadConfig], nn.Module]
"""Makes all that stands between the two towers' reading and embedding."""


def matched(config: Config, between: Between) -> Config:
    """Return ``config`` with the ``mlp_ratio`` that gives ``between`` COOKIE's parameters.

    Parameters grow linearly with the perceptron's width, so two sizes tell the third. A control
    that is larger even with the narrowest perceptron gets that one.
    """
    narrow, wider = (_size(between, _with_mlp(config.head, width)) for width in (1, 2))
    target = _size(SharedTransformer, config.head)
    width = max(1, 1 + round((target - narrow) / (wider - narrow)))
    return replace(config, head=_with_mlp(config.head, width))


def two_transformers(head: HeadConfig) -> nn.Module:
    """Return what stands between in an unshared model."""
    return nn.ModuleList([SharedTransformer(head), SharedTransformer(head)])


def above_encoders(model: nn.Module) -> int | None:
    """Return the number of parameters outside the towers' encoders; None without towers."""
    towers = [part for part in model.modules() if isinstance(part, Tower)]
    inside = {id(value) for tower in towers for value in tower.encoder.parameters()}
    outside = (value.numel() for value in model.parameters() if id(value) not in inside)
    return sum(outside) if towers else None


def _with_mlp(head: HeadConfig, width: int) -> HeadConfig:
    return replace(head, mlp_ratio=width / head.width)


def _size(between: Between, head: HeadConfig) -> int:
    with torch.device("meta"):
        return sum(value.numel() for value in between(head).parameters())
