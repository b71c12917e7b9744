"""Training a CLIP: this suite's trainer beside open_clip's own loop, same weights, same pairs.

An epoch of a few steps is one call, so that what a loop does around its steps is in the time.
Ours with captions cut to the longest of a batch, which changes no result, stands apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch

from bench.measure.cost import count_flops, share_of_peak
from bench.measure.peaks import measure_peaks
from bench.rivals.clip_loop import ClipLoops
from bench.rivals.clip_pairs import base_clip, small_clip
from bench.timed import PROFILE, Timed
from cookie.training.precision import Precision

BATCH_SIZE, STEPS = (256, 8) if PROFILE.full else (16, 3)
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
WAYS: dict[str, Callable[[ClipLoops], Callable[[], torch.Tensor]]] = {
    "ours": ClipLoops.ours,
    "ours, captions cut": functools.partial(ClipLoops.ours, cut=True),
    "open_clip": ClipLoops.theirs,
}


@pytest.mark.parametrize("precision", PRECISIONS if PROFILE.full else PRECISIONS[:1])
@pytest.mark.parametrize("way", WAYS)
def test_train_clip(timed: Timed, device: str, way: str, precision: Precision) -> None:
    model = base_clip() if PROFILE.full else small_clip()
    loops = ClipLoops(model, device, precision, BATCH_SIZE, STEPS)
    run = WAYS[way](loops)
    rivals = {} if way == "open_clip" else {"open_clip's loop": loops.theirs()}
    notes = timed(run, device=device, items=BATCH_SIZE * STEPS, rivals=rivals)
    note_rates(notes, run, device, precision)
    assert torch.isfinite(cast(torch.Tensor, timed.result))


def note_rates(
    notes: dict[str, Any], run: Callable[[], torch.Tensor], device: str, precision: Precision
) -> None:
    """Note how many times open_clip's samples a second, and the share of the matrix peak."""
    for ratio in notes.get("ratios", ()):
        notes["samples/s against open_clip"] = 1 / ratio["median"]
    if "items_per_second" in notes:
        seconds = notes["items"] / notes["items_per_second"]
        peak = measure_peaks(device).matmul_flops[precision]
        notes["share_of_matmul_peak"] = share_of_peak(count_flops(run), seconds, peak)
