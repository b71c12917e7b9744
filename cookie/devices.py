"""Where to compute, and what follows from it for the settings."""

from __future__ import annotations

import dataclasses

import torch

from cookie.config import Config
from cookie.errors import UserError


def resolve_device(name: str) -> torch.device:
    """Return the device meant by ``name``; ``auto`` is the GPU where there is one.

    Raises:
        UserError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"Unknown device '{name}': use auto, cpu, cuda or cuda:N.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError("There is no CUDA device here: use --device cpu or auto.")
    return device


def config_for(config: Config, device: torch.device) -> Config:
    """Return ``config`` as ``device`` runs it: a GPU fine-tunes what a CPU keeps frozen."""
    if config.regime == "frozen" and device.type == "cuda":
        return dataclasses.replace(config, regime="finetune")
    return config
