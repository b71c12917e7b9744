"""What the machine can do at best: matrix products and copies, measured and not looked up."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.measure.timer import Device, timer_for
from cookie.retrieval.products import inner_products
from cookie.training.precision import has_bfloat16

SIZES = {"cpu": 2048, "cuda": 8192}
"""Rows of the square matrices: large enough to be bound by arithmetic."""
COPY_BYTES = {"cpu": 256 << 20, "cuda": 2 << 30}
"""Bytes of the copied tensor: many times the last cache."""
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class MachinePeaks:
    """The best of several tries on an otherwise idle device.

    Attributes:
        device: type of the device.
        matmul_flops: precision -> FLOPs a second of a square matrix product; without bfloat16
            where it is emulated, which is no limit of the machine and takes minutes to measure.
        copy_bytes: bytes read and written a second by a large copy; None where unmeasured.
        threads: CPU threads used.
    """

    device: str
    matmul_flops: Mapping[str, float] = field(default_factory=dict)
    copy_bytes: float | None = None
    threads: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {
            "device": self.device,
            "matmul_flops": dict(self.matmul_flops),
            "copy_bytes": self.copy_bytes,
            "threads": self.threads,
        }


def measure_peaks(device: Device = "cpu") -> MachinePeaks:
    """Return the peaks of ``device``, measured once a process for a number of threads.

    float32 products run in the precision that ``torch.backends`` is set to at the time.
    """
    return _measure(str(torch.device(device)), torch.get_num_threads())


@functools.cache
def _measure(device: str, threads: int) -> MachinePeaks:
    kind = torch.device(device).type
    size = SIZES.get(kind, 2048)
    native = PRECISIONS if has_bfloat16(torch.device(device)) else PRECISIONS[:1]
    matmul = {name: matmul_peak(device, getattr(torch, name), size) for name in native}
    copied = copy_peak(device, COPY_BYTES.get(kind, 256 << 20))
    return MachinePeaks(kind, matmul, copied, threads)


def matmul_peak(device: Device, dtype: torch.dtype, size: int, tries: int = 10) -> float:
    """Return the best FLOPs a second of a ``size`` x ``size`` matrix product.

    Of all libraries that the suite multiplies with: on some CPUs ``torch.mm`` runs float32 at half
    the speed of the search's own products, and a peak of its alone would be surpassed.
    """
    left = torch.randn(size, size, device=device, dtype=torch.float32).to(dtype)
    seconds = min(_best(device, product, tries) for product in _products(left))
    return 2.0 * size**3 / seconds


def _products(left: Tensor) -> Iterator[Callable[[], object]]:
    """Yield the ways in which the suite multiplies (N, N) matrices of this type."""
    out = torch.empty_like(left)
    yield lambda: torch.mm(left, left, out=out)
    if left.device.type == "cpu" and left.dtype == torch.float32:
        yield lambda: inner_products(left, left)


def copy_peak(device: Device, size_bytes: int, tries: int = 10) -> float:
    """Return the best bytes a second, read and written together, of a large copy."""
    source = torch.ones(size_bytes // 4, device=device, dtype=torch.float32)
    target = torch.zeros_like(source)
    seconds = _best(device, lambda: target.copy_(source), tries)
    return 2.0 * source.numel() * 4 / seconds


def _best(device: Device, run: Any, tries: int) -> float:  # noqa: ANN401 -- any tensor work
    timer = timer_for(device)
    timer.seconds(run)  # set-up
    with torch.inference_mode():
        return min(timer.seconds(run) for _ in range(tries))
