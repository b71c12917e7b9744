"""A folder of WebDataset shards, or of photographs with captions beside them, as a data set.

Captions and the places of images are in memory, images are not: 600 bytes a pair by measurement
(a caption of sixty letters each, loading included), so 3.6 GB for 6 million pairs, which take a
core a minute to load. They come from index files, one a shard, made on the first use; that one
reads every shard and decodes every image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cookie.data.containers import Folder, Tar
from cookie.data.dataset import SPLITS, RetrievalDataset, Split
from cookie.data.shard_images import ShardImages
from cookie.data.shard_index import Entry, index_of
from cookie.errors import DataError
from cookie.files import home
from cookie.interfaces import IndexArray

HELD_OUT = 1000
"""Most training images that become the validation split where there is none."""
HELD_SHARE = 20
"""At most one training image in so many does."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A sample, the name its image goes by, and the file that it is in."""

    name: str
    path: Path
    entry: Entry


def has_samples(folder: Path) -> bool:
    """Return whether ``folder`` holds shards, or photographs with captions beside them."""
    if next(_files(folder, "*.tar"), None) or next(_files(folder, "*.tar.gz"), None):
        return True
    return any(path.suffix in (".txt", ".json") for path in _files(folder, "*"))


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files at any depth that match, but not those whose names begin with a dot."""
    paths = (path for path in folder.rglob(pattern) if not path.name.startswith("."))
    return filter(Path.is_file, paths)


def load_samples(name: str, folder: Path) -> RetrievalDataset:
    """Load the samples in ``folder``: its splits are the folders ``train``, ``val`` and ``test``.

    Without them all is for training. Without ``val``, every so many-th usable training image, a
    twentieth of them and no more than :data:`HELD_OUT`, is for validation.

    Args:
        name: of the data set.
        folder: with ``.tar`` files at any depth; where a split has none, with image files and
            their captions: ``KEY.jpg`` and ``KEY.txt``, one caption, or ``KEY.json``.

    Raises:
        DataError: there is nothing to train on, or a shard is broken or compressed as a whole.
            A broken sample is kept with its fault, which is raised when it is asked for.
    """
    parts = {part: folder / part for part in SPLITS if (folder / part).is_dir()}
    found = {part: _samples(path) for part, path in (parts or {"train": folder}).items()}
    if not found.get("train"):
        raise DataError(f"'{folder}' holds no samples to train on: docs/data.md tells the layout.")
    if "val" not in found:
        found["train"], found["val"] = _held_out(found["train"], folder)
    splits = {part: _split(found[part]) for part in SPLITS if part in found}
    return RetrievalDataset(name, _digest(found), splits)


def _samples(folder: Path) -> list[_Found]:
    """Return the samples of all shards below ``folder``, or of the folder itself without any."""
    cache = home() / "cache" / "shards"
    shards = sorted(_files(folder, "*.tar"))
    if not shards:
        _refuse_compressed(folder)
        entries = index_of(Folder(folder), cache)
        return [_Found(entry.key, folder.parent / entry.file, entry) for entry in entries]
    found: list[_Found] = []
    for shard in tqdm(shards, f"{folder} index", unit="shard", leave=False):
        stem = shard.relative_to(folder).with_suffix("").as_posix()
        entries = index_of(Tar(shard), cache)
        found += [_Found(f"{stem}/{entry.key}", shard, entry) for entry in entries]
    return found


def _refuse_compressed(folder: Path) -> None:
    for path in _files(folder, "*.tar.gz"):
        raise DataError(f"'{path}' is compressed and cannot be read in place: gunzip it.")


def _held_out(samples: list[_Found], folder: Path) -> tuple[list[_Found], list[_Found]]:
    """Return the samples for training and those for validation, which are all usable."""
    usable = [index for index, sample in enumerate(samples) if not sample.entry.fault]
    count = min(HELD_OUT, max(1, len(usable) // HELD_SHARE))
    if len(usable) <= count:
        raise DataError(f"'{folder}' holds {len(usable)} usable samples: two are the least.")
    places = (np.arange(count) * len(usable)) // count
    held = {usable[place] for place in places}
    kept = [sample for index, sample in enumerate(samples) if index not in held]
    return kept, [samples[index] for index in sorted(held)]


def _split(samples: Sequence[_Found]) -> Split:
    """Assemble a split; a sample whose captions cannot be read is an image without any."""
    names = tuple(sample.name for sample in samples)
    files = list(dict.fromkeys(sample.path for sample in samples))
    number = {path: index for index, path in enumerate(files)}
    entries = [sample.entry for sample in samples]
    images = ShardImages(
        names,
        files,
        np.array([number[sample.path] for sample in samples], np.int32),
        _numbers(entry.offset for entry in entries),
        _numbers(entry.size for entry in entries),
        {index: entry.fault for index, entry in enumerate(entries) if entry.fault},
    )
    owners = np.repeat(np.arange(len(entries)), [len(entry.captions) for entry in entries])
    captions = tuple(caption for entry in entries for caption in entry.captions)
    return Split(images, names, captions, owners.astype(np.int64))


def _numbers(values: Iterable[int]) -> IndexArray:
    return np.fromiter(values, np.int64)


def _digest(found: dict[str, list[_Found]]) -> str:
    """Return the hash over all samples' names, sizes and captions, split by split."""
    digest = hashlib.sha256()
    for line in _lines(found):
        digest.update(line)
    return digest.hexdigest()


def _lines(found: dict[str, list[_Found]]) -> Iterator[bytes]:
    for part in SPLITS:
        for sample in found.get(part, ()):
            entry = sample.entry
            facts = [part, sample.name, entry.size, entry.captions, bool(entry.fault)]
            yield json.dumps(facts).encode()
