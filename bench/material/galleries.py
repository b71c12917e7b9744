"""Random galleries of any size: as large as memory allows, else on disk, and which it is.

How long an exact search takes does not depend on the values, so random unit vectors stand in for
the embeddings of images that nobody has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import torch
from torch import Tensor
from torch.nn.functional import normalize

from cookie.retrieval.matrices import Matrix, as_tensor

SHARE = 0.7
"""Share of what is free that a gallery may take."""
BLOCK = 65_536
"""Rows drawn at a time, each block with a seed of its own: a smaller gallery begins a larger."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How and where a gallery is kept.

    Attributes:
        dtype: of its values. place: ``memory`` (of the device) or ``disk`` (memory-mapped).
    """

    dtype: Literal["float32", "float16"]
    place: Literal["memory", "disk"]

    def row_bytes(self, width: int) -> int:
        """Return the bytes of one embedding."""
        return width * (4 if self.dtype == "float32" else 2)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


CHOICES = (Storage("float32", "memory"), Storage("float16", "memory"), Storage("float16", "disk"))
"""In the order of preference: exact and fast first."""


def choose_storage(rows: int, width: int, *, memory: int, disk: int) -> Storage | None:
    """Return the first of :data:`CHOICES` that fits into free bytes, or None."""
    free = {"memory": SHARE * memory, "disk": SHARE * disk}
    for choice in CHOICES:
        if rows * choice.row_bytes(width) <= free[choice.place]:
            return choice
    return None


def free_memory(device: torch.device) -> int:
    """Return the bytes that ``device`` can still give away."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def free_disk(folder: Path) -> int:
    """Return the bytes that are free where ``folder`` is; it is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    return int(psutil.disk_usage(str(folder)).free)


@contextmanager
def random_gallery(
    rows: int, width: int, storage: Storage, *, device: torch.device, folder: Path
) -> Iterator[Matrix]:
    """Yield (rows, width) random unit vectors, always the same ones for a device type.

    Args:
        rows: G.
        width: D.
        storage: how it is kept; a file in ``folder`` is removed at the end.
        device: in whose memory it lies, unless it is on disk.
        folder: for a gallery on disk.
    """
    if storage.place == "memory":
        gallery = torch.empty(rows, width, dtype=getattr(torch, storage.dtype), device=device)
        _fill(gallery)
        yield gallery
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="gallery-") as file:
        written = np.memmap(file.name, storage.dtype, "w+", shape=(rows, width))
        _fill(as_tensor(written))
        written.flush()
        yield np.memmap(file.name, storage.dtype, "r", shape=(rows, width))


def _fill(gallery: Tensor) -> None:
    generator = torch.Generator(gallery.device)
    for start in range(0, len(gallery), BLOCK):
        part = gallery[start : start + BLOCK]
        generator.manual_seed(start)
        drawn = torch.randn(part.shape, generator=generator, device=gallery.device)
        part.copy_(normalize(drawn, dim=1))
