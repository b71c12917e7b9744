"""Each loss forward and backward, beside the libraries' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.hard_negatives import candidates, training_pairs
from bench.timed import PROFILE, Timed
from cookie.nn.losses import hardest_triplet, info_nce, nt_xent

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
BATCHES = (64, 256, 1024, 4096) if PROFILE.full else (128, 1024)
WIDTH = 512
SCALE = 1 / 0.07


def forward_and_backward(loss: Loss, batch_size: int, device: str) -> Callable[[], Tensor]:
    """Return a call that makes fresh gradients of two batches of embeddings."""
    generator = torch.Generator().manual_seed(0)
    first, second = (
        F.normalize(torch.randn(batch_size, WIDTH, generator=generator), dim=1)
        .to(device)
        .requires_grad_()
        for _ in range(2)
    )

    def run() -> Tensor:
        first.grad = second.grad = None
        value = loss(first, second)
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()

    return run


def compare(
    timed: Timed, loss: Loss, rivals: Mapping[str, Loss], batch_size: int, device: str
) -> None:
    """Time ``loss`` beside ``rivals``, which must give the same value."""
    run = forward_and_backward(loss, batch_size, device)
    others = {
        name: forward_and_backward(rival, batch_size, device) for name, rival in rivals.items()
    }
    timed(run, device=device, items=batch_size, rivals=others)
    for other in others.values():
        torch.testing.assert_close(other(), run(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", BATCHES)
def test_info_nce(timed: Timed, device: str, batch_size: int) -> None:
    open_clip = pytest.importorskip("open_clip.loss")
    clip_loss, scale = open_clip.ClipLoss(), torch.tensor(SCALE, device=device)
    rivals = {"open_clip.ClipLoss": lambda a, b: clip_loss(a, b, scale)}
    compare(timed, lambda a, b: info_nce(a, b, scale), rivals, batch_size, device)


@pytest.mark.parametrize("batch_size", BATCHES)
def test_nt_xent(timed: Timed, device: str, batch_size: int) -> None:
    rivals = {}
    if PROFILE.full:
        lightly = pytest.importorskip("lightly.loss")
        rivals["lightly.NTXentLoss"] = lightly.NTXentLoss(temperature=1 / SCALE)
    compare(timed, lambda a, b: nt_xent(a, b, SCALE), rivals, batch_size, device)


@pytest.mark.parametrize("batch_size", BATCHES)
def test_hardest_triplet(timed: Timed, device: str, batch_size: int) -> None:
    compare(timed, lambda a, b: hardest_triplet(a, b, 0.2), {}, batch_size, device)


@pytest.mark.parametrize("batch_size", BATCHES)
def test_matching(timed: Timed, device: str, batch_size: int) -> None:
    """The single-stream's: draw hard negatives, then find the positive among them."""

    def matching(first: Tensor, second: Tensor) -> Tensor:
        pairs = training_pairs(SCALE * first @ second.T, 1)
        scores = SCALE * (first[pairs.images] * second[pairs.captions]).sum(dim=1)
        tables = torch.cat(candidates(scores, pairs.negatives))
        return F.cross_entropy(tables, tables.new_zeros(len(tables), dtype=torch.int64))

    compare(timed, matching, {}, batch_size, device)
