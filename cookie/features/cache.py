"""Files of what a frozen encoder makes of a split: computed once, then mapped into memory.

Images give a dense array, captions a ragged one. A file takes its name only when it is whole, so
a run that was cut off goes on with the first file that is missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from cookie.arrays import open_array, warn_of
from cookie.features.corpus import CaptionStates, HalfArray
from cookie.features.frozen import Frozen
from cookie.files import replacing, require_space
from cookie.interfaces import ImageBatch, IndexArray, TextBatch
from cookie.nn.encoders import TextEncoder, VisualEncoder

IMAGE_BATCH = {"cpu": 8, "cuda": 128}
TEXT_TOKENS = {"cpu": 2048, "cuda": 65_536}
"""Tokens of a batch of captions, padding included."""

PixelReader = Callable[[IndexArray], Tensor]


class _Grid(nn.Module):
    """A visual encoder as a function of pixels alone."""

    def __init__(self, encoder: VisualEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> Tensor:
        return self.encoder(ImageBatch(pixels=pixels))  # type: ignore[no-any-return]


class _States(nn.Module):
    """A text encoder as a function of ids and mask alone, up to one of its layers."""

    def __init__(self, encoder: TextEncoder, layers: int | None) -> None:
        super().__init__()
        self.encoder, self.layers = encoder, layers

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.encoder(TextBatch(ids, mask), self.layers)  # type: ignore[no-any-return]


def weights_digest(module: nn.Module) -> str:
    """Return 12 hex digits over names and bytes of all parameters and buffers."""
    digest = hashlib.sha256()
    named = [*module.named_parameters(), *module.named_buffers()]
    for name, tensor in sorted(named, key=lambda pair: pair[0]):
        digest.update(name.encode())
        digest.update(
            tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()[:12]


def settings_digest(*settings: Any) -> str:  # noqa: ANN401 -- anything JSON can hold
    """Return 12 hex digits that change whenever any of ``settings`` does."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def frozen_grid(encoder: VisualEncoder, device: torch.device) -> Frozen:
    """Return a visual encoder as a function of pixels (B, 3, S, S) in 0..1, B fixed."""
    size = (IMAGE_BATCH[device.type], 3, encoder.image_size, encoder.image_size)
    return Frozen(_Grid(encoder), device, (torch.zeros(size),))


def frozen_states(encoder: TextEncoder, layers: int | None, device: torch.device) -> Frozen:
    """Return a text encoder up to ``layers`` (None: all) as a function of ids and mask (B, L)."""
    example = (torch.zeros(3, 2, dtype=torch.int64), torch.ones(3, 2, dtype=torch.bool))
    return Frozen(_States(encoder, layers), device, example, dynamic=True)


def image_features(
    path: Path, encode: Frozen, read: PixelReader, shape: tuple[int, int, int], label: str
) -> HalfArray:
    """Return float16 grid tokens, mapped from ``path``; computed where it is missing.

    Args:
        path: of the ``.npy`` file.
        encode: see :func:`frozen_grid`.
        read: indices (B,) -> pixels (B, 3, S, S) on the host.
        shape: (images, N, C).
        label: for the progress bar.

    Raises:
        UserError: the disk has too little room; names the bytes needed.
    """
    if (found := open_array(path, shape, np.float16)) is None:
        count, size = shape[0], IMAGE_BATCH[encode.device.type]
        grids = encode((_padded(read(rows), size),) for rows in _chunks(count, size))
        starts = range(0, count, size)
        kept = (grid[: count - start] for start, grid in zip(starts, grids, strict=True))
        _write(path, shape, kept, label)
        found = _map(path)
    return found


def caption_states(
    path: Path,
    encode: Frozen,
    texts: Callable[[], TextBatch],
    shape: tuple[int, int],
    label: str,
) -> CaptionStates:
    """Return the encoder states of captions, mapped from ``path``; computed where it is missing.

    Captions of like length share a batch, so hardly any padding is computed, none is stored.

    Args:
        path: of the ``.npy`` file with the tokens; ids lie beside it.
        encode: see :func:`frozen_states`.
        texts: gives all captions as token ids on the host; called only when they are needed.
        shape: (captions, C).
        label: for the progress bar.

    Raises:
        UserError: the disk has too little room; names the bytes needed.
    """
    index = path.with_suffix(".index.npz")
    count, width = shape
    if (found := _open_states(path, index, count, width)) is None:
        _write_states(path, index, encode, texts(), width, label)
        found = _open_states(path, index, count, width)
        assert found is not None, path
    return found


def _open_states(path: Path, index: Path, count: int, width: int) -> CaptionStates | None:
    """Return what the two files hold; None where one is missing, damaged or not the other's."""
    if not (index.is_file() and path.is_file()):  # the index is written first
        return None
    if (places := _open_index(index, count)) is None:
        return None
    tokens = open_array(path, (len(places[0]), width), np.float16)
    return None if tokens is None else CaptionStates(tokens, *places)


def _open_index(index: Path, count: int) -> tuple[NDArray[np.int32], IndexArray, IndexArray] | None:
    """Return ids, starts and lengths, all rows within the ids; None where they are damaged."""
    try:  # it is a zip file, which has a sum of the bytes of each array
        with index.open("rb") as file, np.load(file) as arrays:
            ids, starts, lengths = arrays["ids"], arrays["starts"], arrays["lengths"]
    except Exception as error:  # whatever a harmed zip file makes of its readers
        warn_of(index, error)
        return None
    if len(starts) == len(lengths) == count and lengths.sum() == len(ids):
        return ids, starts, lengths
    warn_of(index, f"{len(starts)} captions of {count}, {lengths.sum()} tokens of {len(ids)}")
    return None


def _write_states(
    path: Path, index: Path, encode: Frozen, texts: TextBatch, width: int, label: str
) -> None:
    lengths: IndexArray = texts.mask.sum(dim=1).numpy()
    order = np.argsort(lengths, kind="stable")
    starts = np.empty_like(lengths)
    starts[order] = np.cumsum(lengths[order]) - lengths[order]
    ids = texts.ids[order][texts.mask[order]].numpy().astype(np.int32)
    with replacing(index) as temporary, temporary.open("wb") as file:
        np.savez(file, ids=ids, starts=starts, lengths=lengths)
    spans = _buckets(lengths[order], TEXT_TOKENS[encode.device.type])
    batches = [order[start:stop] for start, stop in spans]
    states = encode(_cut(texts, rows, lengths[rows].max()) for rows in batches)
    parts = (
        padded[np.arange(padded.shape[1]) < lengths[rows][:, None]]
        for rows, padded in zip(batches, states, strict=True)
    )
    _write(path, (len(ids), width), parts, label)


def _cut(texts: TextBatch, rows: IndexArray, longest: int) -> tuple[Tensor, Tensor]:
    return texts.ids[rows, :longest], texts.mask[rows, :longest]


def _buckets(lengths: IndexArray, tokens: int) -> Iterator[tuple[int, int]]:
    """Yield spans of ascending ``lengths`` whose padded size stays within ``tokens``."""
    start = 0
    while start < len(lengths):
        stop = start + 1
        while stop < len(lengths) and (stop + 1 - start) * lengths[stop] <= tokens:
            stop += 1
        yield start, stop
        start = stop


def _write(
    path: Path, shape: tuple[int, ...], parts: Iterable[NDArray[np.float32]], label: str
) -> None:
    """Write in order: a full disk is then an error, not the signal that a memory map would give."""
    require_space(path.parent, 2 * int(np.prod(shape)))
    with replacing(path) as temporary, temporary.open("wb") as file:
        _write_array(file, shape, parts, label)


def _write_array(
    file: IO[bytes], shape: tuple[int, ...], parts: Iterable[NDArray[np.float32]], label: str
) -> None:
    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    with tqdm(total=shape[0], desc=label, unit="row", leave=False, mininterval=0.5) as bar:
        for part in parts:
            file.write(part.astype(np.float16).tobytes())
            bar.update(len(part))


def _map(path: Path) -> HalfArray:
    mapped: HalfArray = np.load(path, mmap_mode="r")
    return mapped


def _chunks(count: int, size: int) -> Iterator[IndexArray]:
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def _padded(pixels: Tensor, size: int) -> Tensor:
    """Return ``pixels`` in 0..1 as (size, 3, S, S), the last image repeated where there are few."""
    pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    missing = size - len(pixels)
    return torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)]) if missing else pixels
