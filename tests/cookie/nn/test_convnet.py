"""The small convolutional net: sizes, cost, independence of the images of a batch."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cookie.nn.convnet import Bottleneck, ConvNet


def build(width: int = 64, stages: int = 3) -> ConvNet:
    torch.manual_seed(0)
    return ConvNet(width, stages)


@pytest.mark.parametrize(
    ("side", "width", "stages", "grid"), [(64, 128, 3, 8), (32, 64, 3, 4), (32, 32, 1, 16)]
)
def test_the_side_is_halved_stage_by_stage(side: int, width: int, stages: int, grid: int):
    features = build(width, stages)(torch.rand(2, 3, side, side))
    assert features.shape == (2, width, grid, grid)


def test_the_default_size_costs_about_40_million_operations():
    with FlopCounterMode(display=False) as counter:
        build(128, 3)(torch.rand(1, 3, 64, 64))
    assert 35e6 < counter.get_total_flops() < 45e6


def test_an_image_does_not_depend_on_its_batch():
    net, pixels = build(), torch.rand(4, 3, 32, 32)
    for mode in (True, False):
        net.train(mode)
        torch.testing.assert_close(net(pixels)[1:2], net(pixels[1:2]), rtol=1e-4, atol=1e-5)


def test_a_fresh_block_hands_on_what_is_positive():
    block, features = Bottleneck(32), torch.randn(2, 32, 5, 5)
    assert torch.equal(block(features), features.clamp(min=0))
    torch.nn.init.ones_(block.branch[-1].weight)  # type: ignore[arg-type]
    assert not torch.equal(block(features), features.clamp(min=0))


def test_everything_learns_once_the_blocks_have_moved():
    net = build()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    pixels, target = torch.rand(4, 3, 32, 32), torch.randn(4, 64, 4, 4)
    for _ in range(2):
        optimizer.zero_grad()
        (net(pixels) - target).square().mean().backward()
        optimizer.step()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
