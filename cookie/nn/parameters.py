"""What the optimizer is told of a model: rates, weight decay, and what stays frozen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from cookie.config import TrainConfig


def freeze(module: nn.Module) -> None:
    """Stop ``module`` from learning and put it into evaluation mode."""
    module.requires_grad_(False)
    module.eval()


def parameter_groups(
    model: nn.Module, encoders: Iterable[nn.Module], train: TrainConfig
) -> list[dict[str, Any]]:
    """Return AdamW groups: the encoders' rate and the rest's, each with and without decay.

    Matrices and convolution kernels decay; biases, norms, embeddings, positions and temperatures
    (everything with fewer than two dimensions, and what is looked up or added rather than
    multiplied with) do not. Frozen parameters and empty groups are left out.

    Args:
        model: whose parameters are to be trained.
        encoders: parts of ``model`` that train at ``train.encoder_rate``.
        train: rates and decay.
    """
    inside = {id(parameter) for encoder in encoders for parameter in encoder.parameters()}
    multiplied = _multiplied(model)
    groups: dict[str, dict[str, Any]] = {}
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        encoder, decays = id(parameter) in inside, id(parameter) in multiplied
        name = f"{'encoder' if encoder else 'head'}{'' if decays else '_no_decay'}"
        rate = train.encoder_rate if encoder else train.learning_rate
        decay = train.weight_decay if decays else 0.0
        empty = {"name": name, "params": [], "lr": rate, "weight_decay": decay}
        groups.setdefault(name, empty)["params"].append(parameter)
    return list(groups.values())


def _multiplied(model: nn.Module) -> set[int]:
    """Return the ids of all parameters that are matrices or kernels of a linear map."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return {id(m.weight) for m in model.modules() if isinstance(m, kinds)}
