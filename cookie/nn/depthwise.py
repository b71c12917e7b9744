"""Depthwise convolutions whose gradients do not cost more than all the rest of a network.

In bfloat16 on a CPU the backward pass has a fast program for kernels of 3 x 3 at stride 1 alone.
The others are three quarters of the time that a step of EfficientNet-lite0 takes, and the same
gradients in float32 take a quarter of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Pair = tuple[int, int]
FAST_KERNEL = 3


def fast_gradients(images: Tensor) -> AbstractContextManager[object]:
    """Return the context in which a network that reads ``images`` is to run.

    Within it results are the same to the bit; gradients of depthwise convolutions that are slow
    in bfloat16 are computed in float32. Where that gains nothing (another device, float32, no
    gradients) it does nothing.
    """
    gains = (
        images.device.type == "cpu"  # first: not every device can be asked about autocast
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and torch.is_grad_enabled()
    )
    return _Depthwise() if gains else nullcontext()


class _Depthwise(TorchFunctionMode):
    """Sends depthwise convolutions, whichever module asks for them, through a gradient of ours."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        if func is torch.conv2d and not kwargs and _is_slow(*args):
            return _Convolution.apply(*args)
        return func(*args, **kwargs)


def _is_slow(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Pair | str = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> bool:
    """Tell whether it is depthwise, and not 3 x 3 at stride 1; padding by name is left alone."""
    pairs = all(isinstance(value, tuple) for value in (stride, padding, dilation))
    large = max(weight.shape[2:]) > FAST_KERNEL or stride != (1, 1)
    return pairs and large and groups == images.shape[1] > 1


class _Convolution(torch.autograd.Function):
    """``torch.conv2d``, with gradients in float32."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.bias = None if bias is None else bias.shape
        ctx.geometry = stride, padding, dilation, False, (0, 0), groups
        return torch.conv2d(images, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        images, weight = ctx.saved_tensors
        found = torch.ops.aten.convolution_backward(
            gradients[0].float(),
            images.float(),
            weight.float(),
            ctx.bias,
            *ctx.geometry,
            ctx.needs_input_grad[:3],
        )
        of_images = None if found[0] is None else found[0].to(images.dtype)
        return of_images, found[1], found[2], None, None, None, None
