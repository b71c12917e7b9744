"""Inner products: fast in float32, and exactly rounded.

The *score* of two embeddings is their inner product, summed in float64 and rounded once to
float32. That number does not depend on block size, threads or device. A float32 matrix product
differs from it by at most :func:`rounding_slack`, so only scores closer than that to a value
they are compared with have to be looked at again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_PAIRS_AT_ONCE = 512  # two gathered blocks of this many rows stay in the cache


def inner_products(left: Tensor, right: Tensor) -> Tensor:
    """Return (A, D) x (B, D) -> (A, B) float32; never in reduced precision, whatever is set.

    On x86 the product comes from oneDNN where PyTorch has it: its float32 kernels are as fast on
    every maker's processors, while MKL's run at half speed on some, for a single row as well.
    """
    with torch.autocast(left.device.type, enabled=False), _full_precision(left.device):
        if left.is_cuda and left.dtype == right.dtype != torch.float32:
            return torch.mm(left, right.T, out_dtype=torch.float32)
        if _ONEDNN and left.device.type == "cpu" and len(left) and right.numel():
            product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
            return product
        return left @ right.T


def exact_products(left: Tensor, right: Tensor) -> Tensor:
    """Return (A, D) x (B, D) -> (A, B) scores: float64 sums, rounded once to float32."""
    with torch.autocast(left.device.type, enabled=False):
        return (left.double() @ right.double().T).float()


def pair_products(left: Tensor, right: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return (P,) scores of the pairs (``left[rows[p]]``, ``right[columns[p]]``)."""
    size = _PAIRS_AT_ONCE if left.device.type == "cpu" else 1 << 18
    parts = zip(torch.split(rows, size), torch.split(columns, size), strict=True)
    with torch.autocast(left.device.type, enabled=False), one_thread():
        scores = [(left[row].double() * right[column]).sum(dim=1).float() for row, column in parts]
    return torch.cat(scores) if scores else left.new_empty(0)


def rounding_slack(embeddings: Tensor, longest: Tensor) -> Tensor:
    """Return (A,): how far float32 products of ``embeddings`` (A, D) may be from their scores.

    A sum of D rounded products is off by at most D * 2^-24 * |a| |b|; with independent roundings
    by 8 * sqrt(D) * 2^-24 * |a| |b| except with a probability below 1e-10 (Higham and Mary, SIAM
    J. Sci. Comput. 2019). The smaller is taken, twice of it on a GPU, whose units may truncate.

    Args:
        embeddings: (A, D).
        longest: scalar, the largest length among the rows they are multiplied with.
    """
    width = embeddings.shape[1] + 2
    unit = min(float(width), 8.0 * width**0.5) * 2.0**-24
    lengths = torch.linalg.vector_norm(embeddings, dim=1, dtype=torch.float32)
    slack: Tensor = (2.0 if embeddings.is_cuda else 1.0) * unit * longest * lengths
    return slack


_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
    torch.ops.mkldnn, "_linear_pointwise"
)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run many short operations on one core: sharing each of them costs more than it saves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """Switch TF32 and bfloat16 shortcuts of float32 products off, and back after the last user."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    users = _users.setdefault(device.type, [])
    with _lock:
        users.append(backend.matmul.fp32_precision)
        backend.matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        with _lock:
            if len(users) == 1:
                backend.matmul.fp32_precision = users[0]
            users.pop()


_lock = threading.Lock()
_users: dict[str, list[str]] = {}
"""Device type -> what the setting was when each present user came; the first one's is restored."""
