"""Forward and backward pass of a pretrained backbone, as fine-tuning runs it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import cast
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from bench.timed import PROFILE, Timed
from cookie.interfaces import ImageBatch
from cookie.nn import encoders
from cookie.nn.encoders import VisualEncoder, build_visual_encoder
from cookie.presets import preset
from cookie.training.allocator import keep_freed_memory
from cookie.training.precision import Precision, autocast

BATCHES = (8, 64) if PROFILE.full else (8,)
Step = Callable[[], Tensor]


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("precision", ["bfloat16"])
def test_backbone(timed: Timed, device: str, precision: Precision, batch_size: int) -> None:
    """EfficientNet-lite0 in bfloat16, beside the gradients of torch, and beside float32."""
    keep_freed_memory()
    vision = replace(preset("small").vision, weights="none")
    encoder = build_visual_encoder(vision).to(device).train()
    side = vision.image_size
    images = ImageBatch(torch.randint(0, 256, (batch_size, 3, side, side), dtype=torch.uint8))
    run, in_float32 = (step(encoder, images.to(device), p) for p in (precision, "float32"))
    rivals = {"torch's gradients": plainly(run), "float32": in_float32}
    timed(run, device=device, items=batch_size, rivals=rivals)
    assert torch.isfinite(cast(Tensor, timed.result)).all()


def step(encoder: VisualEncoder, images: ImageBatch, precision: Precision) -> Step:
    """Return both passes; they give the gradient of the first kernel."""

    def run() -> Tensor:
        encoder.zero_grad(set_to_none=True)
        with autocast(images.data.device, precision):
            tokens = encoder(images)
        tokens.float().square().mean().backward()
        return cast(Tensor, next(encoder.parameters()).grad)

    return run


def plainly(run: Step) -> Step:
    """Return ``run`` with all gradients left to torch."""

    def plain() -> Tensor:
        with patch.object(encoders, "fast_gradients", lambda images: nullcontext()):
            return run()

    return plain
