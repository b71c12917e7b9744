"""A small residual convolutional net that trains from scratch on two CPU cores."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class ConvNet(nn.Sequential):
    """Pixels (B, 3, S, S) -> feature map (B, width, grid, grid) by strided 3x3 convolutions.

    Every stage halves the side and, but for the last, ends at a fraction of ``width``; a
    bottleneck block follows each halving past the first. 64 pixels to 8 x 8 x 128 take about 40
    MFLOP. Group normalization keeps images independent of each other: a batch statistic
    would tell a contrastive loss which images came together.

    Args:
        width: channels of the result; a multiple of ``8 << stages - 1``.
        stages: how often the side is halved.
    """

    def __init__(self, width: int, stages: int) -> None:
        channels = [width >> (stages - 1 - stage) for stage in range(stages)]
        parts: list[nn.Module] = [_halve(3, channels[0])]
        for narrow, wide in pairwise(channels):
            parts += [_halve(narrow, wide), Bottleneck(wide)]
        super().__init__(*parts, Bottleneck(width))


class Bottleneck(nn.Module):
    """A residual block that starts as the identity: 1x1 to half the width, 3x3, 1x1 back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        last_norm = _norm(width)
        nn.init.zeros_(last_norm.weight)
        self.branch = nn.Sequential(
            nn.Conv2d(width, half, 1, bias=False),
            _norm(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, padding=1, bias=False),
            _norm(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, width, 1, bias=False),
            last_norm,
        )
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, h, w) for ``x`` of the same shape."""
        activated: Tensor = self.activation(x + self.branch(x))
        return activated


def _halve(channels_in: int, channels_out: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, _norm(channels_out), nn.ReLU(inplace=True))


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // 16), channels)
