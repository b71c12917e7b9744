"""Scores of pairs: this suite's way beside the library's own loop, same ViLT, same weights.

The loop is as a user of ``transformers`` writes it: a batch of pairs at a time goes through the
whole model, from pixels and token ids, captions padded to the longest of the batch. The gain of
bfloat16 stands apart: each way is timed in each precision.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.pair_scoring import score_matrix
from bench.measure.cost import count_flops
from bench.measure.peaks import measure_peaks
from bench.timed import PROFILE, Timed
from cookie.interfaces import ImageBatch, TextBatch
from cookie.training.precision import Precision, autocast

SETTINGS: dict[str, Any] = (
    {}
    if PROFILE.full
    else {
        "hidden_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "intermediate_size": 1536,
    }
)
"""ViLT-B/32 in the full profile; half as wide and a third as deep in the quick one."""
IMAGES, CAPTIONS = (16, 16) if PROFILE.full else (4, 8)
LOOP_BATCH = 64 if PROFILE.full else 32
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


class Pairs:
    """Random images, captions as long as those of Flickr8k, and both models on a device."""

    def __init__(self, device: str) -> None:
        from transformers import ViltConfig, ViltForImageAndTextRetrieval

        from baselines.pretrained.vilt import Vilt

        torch.manual_seed(0)
        model: Any = ViltForImageAndTextRetrieval(ViltConfig(**SETTINGS))
        self.theirs: nn.Module = model.to(device).eval()
        self.scorer = Vilt(model).to(device)
        self.device = torch.device(device)
        size = self.scorer.image_size
        self.images = torch.rand(IMAGES, 3, size, size, device=device)
        lengths = torch.from_numpy(np.random.default_rng(0).normal(13.5, 4, CAPTIONS)).round()
        mask = torch.arange(40) < lengths.clamp(6, 30)[:, None]
        ids = torch.randint(1000, 30_000, mask.shape) * mask
        self.ids, self.mask = ids.to(device), mask.to(device)

    def loop(self, precision: Precision) -> Callable[[], Tensor]:
        """Return the library's way: (I, C) scores, batch after batch."""
        pairs = torch.arange(IMAGES * CAPTIONS, device=self.device)
        batches = [pairs[start : start + LOOP_BATCH] for start in range(0, len(pairs), LOOP_BATCH)]

        @torch.inference_mode()
        def run() -> Tensor:
            with autocast(self.device, precision):
                parts = [self._batch(rows // CAPTIONS, rows % CAPTIONS) for rows in batches]
            return torch.cat(parts).float().view(IMAGES, CAPTIONS)

        return run

    def _batch(self, image: Tensor, caption: Tensor) -> Tensor:
        longest = int(self.mask[caption].sum(dim=1).max())
        logits: Tensor = self.theirs(
            input_ids=self.ids[caption, :longest],
            attention_mask=self.mask[caption, :longest].long(),
            pixel_values=(self.images[image] - 0.5) / 0.5,
        ).logits
        return logits

    def ours(self, precision: Precision) -> Callable[[], Tensor]:
        """Return this suite's way to the same scores, from the same pixels and ids."""
        longest = int(self.mask.sum(dim=1).max())
        texts = TextBatch(self.ids[:, :longest], self.mask[:, :longest])

        @torch.inference_mode()
        def run() -> Tensor:
            with autocast(self.device, precision):
                images = self.scorer.prepare_images(ImageBatch(self.images))
                states = self.scorer.prepare_texts(texts)
            return score_matrix(self.scorer, images, states, precision=precision)

        return run


@pytest.fixture(scope="module")
def pairs() -> Callable[[str], Pairs]:
    """Return the models of a device, made once."""
    return functools.cache(Pairs)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("way", ["ours", "loop"])
def test_vilt_pairs(
    timed: Timed, pairs: Callable[[str], Pairs], device: str, way: str, precision: Precision
) -> None:
    """Ours in bfloat16 also in turns with the loop in both precisions, in float32 with its like."""
    models = pairs(device)
    rivals: dict[str, Callable[[], Tensor]] = {}
    if way == "ours":
        run = models.ours(precision)
        others = PRECISIONS if precision == "bfloat16" else ("float32",)
        rivals = {f"ViLT loop, {other}": models.loop(other) for other in others}
    else:
        run = models.loop(precision)
    notes = timed(run, device=device, items=IMAGES * CAPTIONS, rivals=rivals)
    note_rates(notes, models, run, precision)
    tolerance = 1e-4 if precision == "float32" else 0.1
    torch.testing.assert_close(run(), models.loop("float32")(), atol=tolerance, rtol=0.0)


def note_rates(
    notes: dict[str, Any], models: Pairs, run: Callable[[], Tensor], precision: Precision
) -> None:
    """Note how many times the loop's pairs a second, and the share of the matrix peak."""
    for ratio in notes.get("ratios", ()):
        notes[f"pairs/s against the {ratio['denominator']}"] = 1 / ratio["median"]
    if "items_per_second" in notes:
        seconds = notes["items"] / notes["items_per_second"]
        peak = measure_peaks(models.device).matmul_flops[precision]
        notes["share_of_matmul_peak"] = count_flops(run) / seconds / peak
