"""Checkpoints as safetensors and JSON: written atomically, verified when read, never unpickled."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cookie.errors import UserError
from cookie.files import replacing, sha256, write_json

_LOG = logging.getLogger("cookie.training")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run at one step.

    Attributes:
        step: optimizer steps done.
        tensors: name -> tensor on the CPU.
        facts: whatever else the run needs, as JSON holds it.
    """

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class Checkpoints:
    """The last checkpoints of a run, newest first when read.

    A checkpoint is ``step-N.safetensors`` and ``step-N.json`` with the checksum of the former.
    The JSON comes last, so a checkpoint counts only when it is whole. Two are kept: a broken
    one falls back to the one before.

    Args:
        folder: where they lie; created when the first is saved.
        keep: how many.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, checkpoint: Checkpoint) -> None:
        """Write ``checkpoint``, then drop all but the newest ``keep``, and halves that a kill left.

        Raises:
            UserError: the disk is full; the earlier checkpoints stay.
        """
        stem = self.folder / f"step-{checkpoint.step:09d}"
        digest = save_tensors(stem.with_suffix(".safetensors"), checkpoint.tensors)
        facts = {"step": checkpoint.step, "sha256": digest, "facts": checkpoint.facts}
        write_json(stem.with_suffix(".json"), facts)
        kept = {stem.name for stem in self._stems()[: self.keep]}
        for old in sorted(self.folder.glob("step-*")):  # the JSON first: without it nothing counts
            if old.stem not in kept:
                old.unlink()

    def load(self) -> Checkpoint | None:
        """Return the newest whole checkpoint, or None; a broken one is named and passed over."""
        for stem in self._stems():
            try:
                return _read(stem)
            except (OSError, ValueError, KeyError, SafetensorError) as error:
                _LOG.warning(
                    "Checkpoint '%s' is broken (%s): falling back to the one before.", stem, error
                )
        return None

    def _stems(self) -> list[Path]:
        found = sorted(self.folder.glob("step-*.json"), reverse=True)
        return [path.with_suffix("") for path in found]


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None
) -> str:
    """Write tensors to a safetensors file, atomically, and return the file's SHA-256.

    A tensor that occurs under several names is stored once.

    Args:
        path: of the file.
        tensors: name -> tensor on any device.
        notes: text for the file's header.
    """
    names, aliases = _unique(tensors)
    stored = {name: tensors[name].detach().to("cpu", copy=True).contiguous() for name in names}
    header = {**(notes or {}), "aliases": json.dumps(aliases)}
    with replacing(path) as temporary:
        temporary.touch()
        usual = temporary.stat().st_mode
        save_file(stored, temporary, header)
        temporary.chmod(usual)  # safetensors lets the owner alone read
        return sha256(temporary)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of :func:`save_tensors`, on the CPU, under all their names."""
    with safe_open(path, "pt") as file:
        aliases: dict[str, str] = json.loads((file.metadata() or {}).get("aliases", "{}"))
    tensors = load_file(path)
    return tensors | {name: tensors[stored] for name, stored in aliases.items()}


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of :func:`save_tensors`' tensors under all their names, reading none."""
    with safe_open(path, "pt") as file:
        aliases: dict[str, str] = json.loads((file.metadata() or {}).get("aliases", "{}"))
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 -- no mapping
    return shapes | {name: shapes[stored] for name, stored in aliases.items()}


def save_weights(folder: Path, name: str, module: nn.Module, facts: Mapping[str, Any]) -> None:
    """Write ``name.safetensors`` with all of ``module`` and ``name.json`` with ``facts``."""
    digest = save_tensors(folder / f"{name}.safetensors", module.state_dict())
    write_json(folder / f"{name}.json", {**facts, "sha256": digest})


def load_weights(folder: Path, name: str, module: nn.Module) -> dict[str, Any]:
    """Fill ``module`` from :func:`save_weights` and return the facts beside the weights.

    Raises:
        UserError: the files are missing, broken, or belong to another architecture.
    """
    path = folder / f"{name}.safetensors"
    try:
        facts = read_facts(folder, name)
        if sha256(path) != facts["sha256"]:
            raise UserError(
                f"'{path}' is not the file that '{name}.json' describes: {train_again(folder)}."
            )
        module.load_state_dict(load_tensors(path))
    except (FileNotFoundError, SafetensorError) as error:
        raise UserError(f"'{path}' cannot be read ({error}): {train_again(folder)}.") from None
    except RuntimeError:
        raise UserError(
            f"'{path}' holds the weights of another architecture: use the settings it was "
            "trained with."
        ) from None
    return facts


def train_again(folder: Path) -> str:
    """Return the mend for a run whose weights are lost; it counts as finished while it is there."""
    return f"delete the folder '{folder}' and train again"


def read_facts(folder: Path, name: str) -> dict[str, Any]:
    """Return what ``name.json`` in ``folder`` says.

    Raises:
        UserError: it is missing or broken.
    """
    path = folder / f"{name}.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"'{path}' cannot be read ({error}): is '{folder}' a run?") from None
    if not isinstance(facts, dict):
        raise UserError(f"'{path}' holds no facts: is '{folder}' a run?")
    return facts


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimizer's state into tensors, ``optimizer/INDEX/NAME``, and the rest as JSON."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    rest: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{name}"] = value
            else:
                rest.setdefault(str(index), {})[name] = value
    return tensors, {"groups": state["param_groups"], "rest": rest}


def load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Give ``optimizer`` back the state that :func:`optimizer_tensors` took apart.

    A file holds every tensor row by row. Fused optimizers walk through the memory of a parameter
    and its state side by side, so the state is laid out as the parameter is (channels last, say).
    """
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        kind, _, place = key.partition("/")
        if kind == "optimizer":
            index, _, name = place.partition("/")
            state.setdefault(int(index), {})[name] = tensor
    for index, entries in facts["rest"].items():
        state.setdefault(int(index), {}).update(entries)
    optimizer.load_state_dict({"state": state, "param_groups": facts["groups"]})
    for parameter, entries in optimizer.state.items():
        for name, value in entries.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                entries[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _read(stem: Path) -> Checkpoint:
    described = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    path = stem.with_suffix(".safetensors")
    if sha256(path) != described["sha256"]:
        raise ValueError("its checksum is wrong")
    return Checkpoint(described["step"], load_tensors(path), described["facts"])


def _unique(tensors: Mapping[str, Tensor]) -> tuple[list[str], dict[str, str]]:
    """Return the names to store and, for a tensor met before, name -> the stored name."""
    first: dict[tuple[Any, ...], str] = {}
    aliases: dict[str, str] = {}
    for name, tensor in tensors.items():
        place = (
            tensor.data_ptr(),
            tensor.dtype,
            tensor.device,
            tuple(tensor.shape),
            tensor.stride(),
        )
        known = first.setdefault(place if tensor.numel() else (name,), name)
        if known != name:
            aliases[name] = known
    return list(first.values()), aliases
