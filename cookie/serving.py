"""A model as it answers queries: weights in the number format that it computes in."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class ServedLinear(nn.Linear):
    """A linear map that also holds its weights in the format of autocast.

    Autocast converts the weights of a map that is not in training at every call. A single query
    is so small that this takes a quarter of its time: as many bytes are read for it as for the
    products themselves, twice over. Outside of autocast the weights are used as they are.
    """

    held_weight: Tensor
    held_bias: Tensor | None

    def hold(self, dtype: torch.dtype) -> None:
        """Convert the weights to ``dtype`` once."""
        bias = None if self.bias is None else self.bias.detach().to(dtype)
        self.register_buffer("held_weight", self.weight.detach().to(dtype), persistent=False)
        self.register_buffer("held_bias", bias, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Return (..., out) for (..., in), with the numbers that a plain map gives."""
        place, held = input.device.type, self.held_weight
        if torch.is_autocast_enabled(place) and torch.get_autocast_dtype(place) == held.dtype:
            return F.linear(input, held, self.held_bias)
        return super().forward(input)


def served(module: M, dtype: torch.dtype) -> M:
    """Return ``module`` for answering queries under autocast to ``dtype``; equal to the bit.

    The module itself stays as it is and shares its parameters with what is returned. Every linear
    map takes half its weights' memory more.

    Args:
        module: in evaluation mode; it is not to be trained afterwards.
        dtype: that autocast computes in, such as ``torch.bfloat16``.
    """
    kept: list[Tensor] = [*module.parameters(), *module.buffers()]
    twin = copy.deepcopy(module, {id(tensor): tensor for tensor in kept})
    for part in twin.modules():
        if type(part) is nn.Linear:
            part.__class__ = ServedLinear
            cast(ServedLinear, part).hold(dtype)
    return twin
