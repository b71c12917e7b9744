"""Which number format the forward pass computes in, and the rate of a step."""

from __future__ import annotations

import math
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether ``device`` multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context that a forward pass runs in; ``auto`` is bfloat16 where it is native."""
    enabled = computing_dtype(device, precision) == torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def computing_dtype(device: torch.device, precision: Precision) -> torch.dtype:
    """Return what matrices are multiplied in, ``torch.bfloat16`` or ``torch.float32``."""
    low = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    return torch.bfloat16 if low else torch.float32


def rate_share(step: int, steps: int, warmup: float) -> float:
    """Return the share of the full learning rate at ``step`` of ``steps``, counted from 0.

    It rises linearly over the first ``warmup`` share of the steps, reaches 1 on the last of
    them, and falls to 0 along a half cosine (Loshchilov and Hutter 2017, without restarts).
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
