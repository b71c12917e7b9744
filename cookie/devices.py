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
        raise _unknown(name) from None
    if device.type == "cuda":
        _check_cuda(device)
    elif device.type != "cpu" or device.index:  # torch knows more than can be trained on
        raise _unknown(name)
    return device if device.type == "cuda" else torch.device("cpu")  # 'cpu:0' is no other


def _unknown(name: str) -> UserError:
    return UserError(f"Unknown device '{name}': use {_present()}.")


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        raise UserError("There is no CUDA device here: use --device cpu or auto.")
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise UserError(f"There is no device '{device}' here: use {_present()}.")


def _present() -> str:
    """Return the names of the devices that are here, in words."""
    if not torch.cuda.is_available():
        return "auto or cpu (there is no CUDA device here)"
    return f"auto, cpu, cuda or cuda:N (N from 0 to {torch.cuda.device_count() - 1})"


def config_for(config: Config, device: torch.device) -> Config:
    """Return ``config`` as ``device`` runs it: a GPU fine-tunes what a CPU keeps frozen."""
    if config.regime == "frozen" and device.type == "cuda":
        return dataclasses.replace(config, regime="finetune")
    return config
