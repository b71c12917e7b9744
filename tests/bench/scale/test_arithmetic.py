"""Arithmetic against numbers worked out by hand, and ties against drawn scores."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
import torch

from bench.scale import arithmetic as sums
from bench.scale.machines import Machine
from bench.scale.scenario import Scenario
from bench.scale.work import Work

ASKED = Scenario(pairs=1000, gallery=10**8, utilization=0.5, bandwidth=0.5, memory=0.5)
GPU = Machine("one", gpu=True, flops=100.0, bytes_a_second=40.0, memory=1000.0, source="")
CPU = Machine("two", gpu=False, flops=None, bytes_a_second=4.0, memory=8000.0, source="")
DUAL = Work(parameters=1, image=7.0, caption=5.0, pair=0.0, training=36.0, kept=16)
PAIR = Work(parameters=1, image=6.0, caption=1.0, pair=20.0, training=90.0, kept=100)


def test_time_on_a_machine() -> None:
    assert GPU.computing(200.0, ASKED) == 4.0
    assert CPU.computing(200.0, ASKED) is None
    assert GPU.reading(200.0, ASKED) == 10.0


@pytest.mark.parametrize(("size", "machines"), [(1, 1), (500, 1), (501, 2), (5001, 11)])
def test_machines_that_hold_a_size(size: int, machines: int) -> None:
    assert GPU.holding(size, ASKED) == machines


def test_hours_of_training() -> None:
    assert sums.training_hours(DUAL, GPU, 10, ASKED) == 10 * 1000 * 36 / 50 / 3600
    assert sums.training_hours(DUAL, CPU, 10, ASKED) is None


def test_gallery_rows() -> None:
    rows = sums.row_bytes(1024, 64)
    assert list(rows.values()) == [4096, 2048, 1024, 72]
    assert ASKED.gallery * rows["float32"] == 409_600_000_000


def test_a_scan_is_shared_out() -> None:
    assert sums.scan_seconds(5000.0, GPU, ASKED) == 5000 / 20 / 10


def test_queries() -> None:
    assert sums.dual_query(DUAL, GPU, 30, ASKED) == pytest.approx(5 / 50 + 30 * 16 / 20)
    assert sums.pair_query(PAIR, GPU, 30, ASKED) == pytest.approx((1 + 30 * 20) / 50)
    with pytest.raises(ValueError, match="peak of two is unknown"):
        sums.pair_query(PAIR, CPU, 30, ASKED)


def test_a_full_evaluation() -> None:
    assert sums.full_evaluation(DUAL, 10, 8) == 10 * 7 + 50 * 5 + 500 * 16
    assert sums.full_evaluation(PAIR, 10, 8) == 10 * 6 + 50 * 1 + 500 * 20


@pytest.mark.parametrize("size", [1, 511, 512, 513, 14_000])
def test_shards_are_as_large_as_a_real_tar(size: int) -> None:
    """But for the two empty blocks at its end, and what it is padded with."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key in range(3):
            for suffix, length in ((".jpg", size), (".txt", 60)):
                member = tarfile.TarInfo(f"{key}{suffix}")
                member.size = length
                tar.addfile(member, io.BytesIO(bytes(length)))
        written = tar.offset
    assert written == sums.shard_bytes(Scenario(pairs=3, image_bytes=size, caption_bytes=60))


def test_pixels_are_as_large_as_a_real_array() -> None:
    assert sums.pixel_bytes(224) == np.zeros((3, 224, 224), np.uint8).nbytes


def test_the_contrastive_batch() -> None:
    assert sums.logit_bytes(64) == 3 * torch.zeros(64, 64).nbytes
    work = Work(parameters=1, image=0, caption=0, pair=0, training=3 * 3 * 2 * 64 * 8, kept=0)
    assert sums.loss_share(work, 64, 8) == 1.0


@pytest.mark.parametrize("precision", sums.MANTISSA)
@pytest.mark.parametrize("score", [0.11, 0.125, 0.2, 0.26, 0.99])
def test_steps_are_those_of_the_number_format(precision: str, score: float) -> None:
    value = torch.tensor(score, dtype=getattr(torch, precision))
    above = (value.view(torch.int32 if value.itemsize == 4 else torch.int16) + 1).view(value.dtype)
    assert sums.step(float(value), precision) == float(above) - float(value)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_rivals_are_as_many_as_are_drawn(precision: str) -> None:
    rows, width, draws = 20_000, 256, 600
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(draws, rows, generator=generator) * width**-0.5
    best = scores.topk(200, dim=1).values.to(getattr(torch, precision))
    found = (best == best[:, 9:10]).sum(dim=1).double().mean() - 1
    assert sums.rivals(rows, width, precision) == pytest.approx(float(found), rel=0.2)


def test_inner_products_of_random_vectors_are_as_assumed() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(4000, 256, generator=generator))
    products = (rows[:100] @ rows[100:].T).flatten()
    assert float(products.std()) == pytest.approx(256**-0.5, rel=0.01)
