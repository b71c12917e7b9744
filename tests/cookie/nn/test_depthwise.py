"""Depthwise convolutions: the same results to the bit, and gradients as exact as float32's."""

from __future__ import annotations

import timm.layers
import torch
from torch import Tensor, nn

from cookie.nn.depthwise import _Convolution, fast_gradients

CHANNELS = 8


def network(kind: type[nn.Conv2d] = nn.Conv2d, padding: int | str = 2) -> nn.Sequential:
    torch.manual_seed(0)
    depthwise = kind(CHANNELS, CHANNELS, 5, 2, padding, groups=CHANNELS)
    return nn.Sequential(nn.Conv2d(3, CHANNELS, 1), depthwise, nn.Conv2d(CHANNELS, 4, 1))


def run(net: nn.Module, pixels: Tensor, *, fast: bool, low: bool = True) -> list[Tensor]:
    """Return the network's result, then the gradients of pixels and weights."""
    pixels = pixels.clone().requires_grad_()
    net.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
        if fast:
            with fast_gradients(pixels):
                result = net(pixels)
        else:
            result = net(pixels)
    result.float().square().sum().backward()
    return [result, pixels.grad, *(weight.grad for weight in net.parameters())]


def pixels() -> Tensor:
    return torch.rand(4, 3, 13, 13, generator=torch.Generator().manual_seed(1))


def distance(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def assert_fast_is_right(net: nn.Module):
    exact = run(net, pixels(), fast=False, low=False)
    plain, fast = run(net, pixels(), fast=False), run(net, pixels(), fast=True)
    assert fast[0].dtype == torch.bfloat16
    assert torch.equal(fast[0], plain[0])
    for found, wanted in zip(fast[1:], exact[1:], strict=True):
        assert found.dtype == wanted.dtype
        assert distance(found, wanted) < 0.02


def test_results_are_the_same_and_gradients_those_of_float32():
    assert_fast_is_right(network())


def test_a_convolution_that_pads_by_itself_is_meant_too():
    assert_fast_is_right(network(timm.layers.Conv2dSame, 0))


def test_padding_by_name_is_left_to_torch():
    torch.manual_seed(0)
    net = nn.Conv2d(3, 3, 3, padding="same", groups=3)
    assert_fast_is_right(net)


def uses(net: nn.Module, *, low: bool = True, learns: bool = True) -> int:
    """Return how many convolutions took the gradient of ours."""
    taken: list[str] = []
    for name, part in net.named_modules():
        part.register_forward_hook(
            lambda *found, name=name: (
                taken.append(name)
                if _Convolution.__name__ in type(found[2].grad_fn).__name__
                else None
            )
        )
    with torch.set_grad_enabled(learns), torch.autocast("cpu", torch.bfloat16, enabled=low):
        images = pixels()
        with fast_gradients(images):
            net(images)
    return len(taken)


def test_slow_depthwise_convolutions_alone_are_sent_there():
    assert uses(network()[:2]) == 2  # the depthwise one, and the sequence that ends with it
    assert uses(nn.Conv2d(3, 4, 5)) == 0
    assert uses(nn.Conv2d(3, 6, 3, groups=3)) == 0
    assert uses(nn.Conv2d(3, 6, 3, 2, groups=3)) == 1
    assert uses(nn.Conv2d(3, 6, 5, groups=3)) == 1


def test_float32_and_inference_stay_with_torch():
    assert uses(network()[:2], low=False) == 0
    assert uses(network()[:2], learns=False) == 0


def test_a_bias_and_frozen_weights_get_what_they_need():
    net = network()
    net[1].weight.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16), fast_gradients(pixels()):
        result = net[:2](pixels())
    result.float().sum().backward()
    assert net[1].weight.grad is None
    torch.testing.assert_close(
        net[1].bias.grad, torch.full((CHANNELS,), float(result[:, 0].numel())), rtol=0.01, atol=0
    )


def test_a_device_without_autocast_is_no_error():
    images = torch.empty(1, 3, 8, 8, device="meta")
    with fast_gradients(images):
        assert nn.Conv2d(3, 3, 5, groups=3, device="meta")(images).shape == (1, 3, 4, 4)
