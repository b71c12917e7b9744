"""Second views of images and captions: batched on the device, random only through a generator."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor

from cookie.config import AugmentConfig
from cookie.interfaces import IndexArray

RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
"""The NTSC color space: luma, and chroma as a plane."""


class ImageAugment:
    """Random resized crop, horizontal flip and color jitter of a batch.

    Args:
        config: strengths; with crop_scale 1, flip 0 and color 0 pixels are only scaled.
    """

    def __init__(self, config: AugmentConfig) -> None:
        self.config = config

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, 3, S, S) float32 in 0..1 of ``pixels`` (B, 3, S, S) uint8.

        Parameters are drawn where ``generator`` lives, so a CPU generator gives the same views
        on every device.
        """
        images = pixels.float().div_(255)
        draws = torch.rand(len(pixels), 9, generator=generator, device=generator.device)
        draws = draws.to(pixels.device, non_blocking=True)
        if self.config.crop_scale < 1 or self.config.flip > 0:
            images = self._move(images, draws)
        if self.config.color > 0:
            images = self._recolor(images, draws)
        return images

    def _move(self, images: Tensor, draws: Tensor) -> Tensor:
        """Crop, flip and resize in one bilinear resampling."""
        from kornia.geometry.transform import warp_affine

        side = images.shape[-1]
        boxes = crop_boxes(draws[:, :4], self.config.crop_scale)  # (B, 4)
        left, top, width, height = boxes.unbind(dim=1)
        flipped = draws[:, 4] < self.config.flip
        # a pixel center c of the output comes from left * S + (c + 0.5) * width - 0.5; inverted
        matrix = torch.zeros(len(images), 2, 3, device=images.device)  # (B, 2, 3)
        matrix[:, 0, 0] = 1 / width
        matrix[:, 1, 1] = 1 / height
        matrix[:, 0, 2] = (0.5 - left * side) / width - 0.5
        matrix[:, 1, 2] = (0.5 - top * side) / height - 0.5
        mirrored = torch.stack((-matrix[:, 0, 0], matrix[:, 0, 1], side - 1 - matrix[:, 0, 2]), 1)
        matrix[:, 0] = torch.where(flipped[:, None], mirrored, matrix[:, 0])
        moved: Tensor = warp_affine(
            images, matrix, (side, side), padding_mode="border", align_corners=True
        )
        return moved.clamp_(0, 1)

    def _recolor(self, images: Tensor, draws: Tensor) -> Tensor:
        """Jitter brightness, contrast, saturation by factors 1 +- color, hue by color / 4 turns."""
        uniform = 2 * draws[:, 5:9] - 1  # (B, 4) in -1..1
        factors = 1 + self.config.color * uniform[:, :3]
        turns = self.config.color / 4 * uniform[:, 3]
        return jitter_color(images, factors, turns).clamp_(0, 1)


def jitter_color(images: Tensor, factors: Tensor, turns: Tensor) -> Tensor:
    """Return images (B, 3, H, W) with color adjusted, not clamped.

    All four adjustments are linear in RGB, so they are done in one matrix product, which costs a
    tenth of doing them one by one through HSV: brightness scales; contrast scales around the
    mean luma; saturation scales around each pixel's luma; hue rotates the chroma plane of YIQ.

    Args:
        images: (B, 3, H, W) in 0..1.
        factors: (B, 3) of brightness, contrast and saturation; 1 changes nothing.
        turns: (B,) rotation of the hue, 1 being the whole circle.
    """
    brightness, contrast, saturation = factors.unbind(dim=1)
    basis, inverse = _yiq(images.device, images.dtype)
    matrix = inverse @ _chroma_turn(saturation, turns) @ basis  # (B, 3, 3)
    flat = images.flatten(2)  # (B, 3, H * W)
    luma = (basis[0] * flat.mean(dim=2)).sum(dim=1)  # (B,)
    offset = (1 - contrast) * brightness * luma
    matrix = matrix * (brightness * contrast)[:, None, None]
    return torch.baddbmm(offset[:, None, None], matrix, flat).view_as(images)


@functools.cache
def _yiq(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return RGB to YIQ and back, (3, 3) each; to invert on a GPU would be to wait for it."""
    basis = torch.tensor(RGB_TO_YIQ, dtype=dtype)
    return basis.to(device), torch.linalg.inv(basis).to(device)


def _chroma_turn(saturation: Tensor, turns: Tensor) -> Tensor:
    """Return (B, 3, 3) that keeps Y and turns and scales (I, Q)."""
    angle = 2 * math.pi * turns
    along, across = saturation * angle.cos(), saturation * angle.sin()
    zero, one = torch.zeros_like(along), torch.ones_like(along)
    rows = (one, zero, zero, zero, along, -across, zero, across, along)
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def crop_boxes(draws: Tensor, smallest_area: float) -> Tensor:
    """Return (B, 4) boxes left, top, width, height as shares of the side, inside the image.

    The area is uniform in [smallest_area, 1], the aspect ratio log-uniform in [3/4, 4/3] as far
    as the box fits.

    Args:
        draws: (B, 4) uniform in [0, 1).
        smallest_area: 0 < smallest_area <= 1.
    """
    area = smallest_area + (1 - smallest_area) * draws[:, 0]  # (B,)
    widest = torch.minimum(torch.full_like(area, math.log(4 / 3)), -area.log())
    aspect = torch.exp(widest * (2 * draws[:, 1] - 1))
    size = torch.stack((area * aspect, area / aspect), dim=1).sqrt().clamp(max=1)  # (B, 2)
    corner = (1 - size) * draws[:, 2:4]  # (B, 2)
    return torch.cat((corner, size), dim=1)


def chosen_words(mask: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Return (B, L) bool: words chosen with probability ``rate``, never all words of a caption.

    Words are the real tokens but the first ([CLS]) and the last ([SEP]).

    Args:
        mask: (B, L) bool, True at real tokens.
        rate: share of words, 0..1.
        generator: drawn from where it lives.
    """
    ends = torch.nn.functional.pad(mask[:, 1:], (0, 1))  # True where a real token follows
    words = mask & ends
    words[:, 0] = False
    noise = torch.rand(mask.shape, generator=generator, device=generator.device).to(mask.device)
    noise = noise.masked_fill(~words, -1)
    chosen = words & (noise < rate)
    return chosen.scatter(1, noise.argmax(dim=1, keepdim=True), False)


def mask_words(
    ids: Tensor, mask: Tensor, rate: float, mask_id: int, generator: torch.Generator
) -> Tensor:
    """Return ``ids`` (B, L) with words replaced by ``mask_id``; see :func:`chosen_words`."""
    return ids.masked_fill(chosen_words(mask, rate, generator), mask_id)


def delete_words(
    ids: Tensor, mask: Tensor, rate: float, pad_id: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return ids and mask, both (B, L), with words left out; see :func:`chosen_words`.

    What remains moves to the left in its order; freed places at the end become padding.
    """
    kept = mask & ~chosen_words(mask, rate, generator)
    order = torch.argsort((~kept).to(torch.uint8), dim=1, stable=True)
    shorter = torch.gather(kept, 1, order)
    return torch.gather(ids, 1, order).masked_fill(~shorter, pad_id), shorter


def other_captions(
    indices: IndexArray, caption_image: IndexArray, generator: torch.Generator
) -> IndexArray:
    """Return, for each caption, another one of its image, drawn evenly; itself if it is alone.

    Args:
        indices: (B,) captions.
        caption_image: (captions,) the image of each caption, ascending.
        generator: drawn from where it lives.
    """
    owners = caption_image[indices]  # (B,)
    first = np.searchsorted(caption_image, owners)
    count = np.searchsorted(caption_image, owners, side="right") - first
    draws = torch.rand(
        len(indices), generator=generator, device=generator.device, dtype=torch.float64
    )
    step = 1 + (draws.cpu().numpy() * (count - 1)).astype(np.int64)
    chosen: IndexArray = first + (indices - first + step) % count
    return chosen
