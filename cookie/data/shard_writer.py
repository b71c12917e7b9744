"""Samples written as WebDataset shards, so that equal samples give equal bytes."""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from cookie.data.dataset import Split
from cookie.data.decoding import MAX_PIXELS
from cookie.data.shards import Sample
from cookie.errors import UserError
from cookie.files import replacing


def write_shards(samples: Iterable[Sample], folder: Path, size: int = 1000) -> list[Path]:
    """Write ``folder/00000.tar``, ``00001.tar``, ...; equal samples give equal bytes.

    Args:
        samples: of the corpus; their keys are unique and have no dot or slash.
        folder: created where missing.
        size: samples a shard; the last holds what is left.

    Raises:
        UserError: ``size`` is no positive number, a key would not be found again, or the disk
            is full; a shard takes its name only when it is whole.
    """
    if size < 1:
        raise UserError(f"A shard of {size} samples is none: choose 1 or more.")
    paths: list[Path] = []
    waiting: list[Sample] = []
    for sample in samples:
        waiting.append(sample)
        if len(waiting) == size:
            paths.append(_write(waiting, folder, len(paths)))
            waiting = []
    return [*paths, _write(waiting, folder, len(paths))] if waiting else paths


def samples_of(split: Split, image_size: int) -> Iterator[Sample]:
    """Yield a split's images, ``image_size`` pixels a side as lossless PNG, with all captions.

    Raises:
        UserError: images of that size are none, or could not be read again.
    """
    most = math.isqrt(MAX_PIXELS)
    if not 1 <= image_size <= most:
        raise UserError(f"Images cannot be {image_size} pixels a side: choose from 1 to {most}.")
    starts = np.searchsorted(split.caption_image, np.arange(len(split) + 1))
    for index in range(len(split)):
        file = io.BytesIO()
        split.images.load(index, image_size).save(file, "PNG")
        captions = split.captions[starts[index] : starts[index + 1]]
        yield Sample(f"{index:09d}", file.getvalue(), captions, ".png")


def _write(samples: list[Sample], folder: Path, number: int) -> Path:
    path = folder / f"{number:05d}.tar"
    with (
        replacing(path) as temporary,
        tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for sample in samples:
            if not sample.key or set("./\\\0") & set(sample.key):
                raise UserError(
                    f"'{sample.key}' cannot be a sample's key: leave dots and slashes out."
                )
            captions = json.dumps({"captions": sample.captions}, ensure_ascii=False).encode()
            _add(tar, sample.key + sample.suffix, sample.image)
            _add(tar, f"{sample.key}.json", captions)
    return path


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # no time, owner or rights: equal content is equal bytes
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
