"""Reader for captioned photographs in Karpathy's JSON form: Flickr8k, Flickr30k, MSCOCO, others."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from cookie.data.archives import ArchivedImages, ImageIndex, Location, index_images
from cookie.data.dataset import RetrievalDataset, Split, build_split, datasets
from cookie.errors import DataError, is_text

SPLIT_NAMES = {"train": "train", "restval": "train", "val": "val", "test": "test"}
"""Karpathy's names; MSCOCO's ``restval`` is customarily trained on."""

EXPECTED: dict[str, dict[str, tuple[int, ...]]] = {
    "flickr8k": {"train": (6000, 5999), "val": (1000,), "test": (1000,)},
    "flickr30k": {"train": (29000,), "val": (1014,), "test": (1000,)},
    "coco": {"train": (113287,), "val": (5000,), "test": (5000,)},
}
"""Images a split may have. Flickr8k goes about with one training photograph missing."""


ROOTS = "give --data-root or set COOKIE_DATA (docs/data.md tells the layout)"
"""What to do where data are not found."""


@dataclass
class _Entries:
    """What a split is assembled from, image by image."""

    names: list[str] = field(default_factory=list)
    captions: list[list[str]] = field(default_factory=list)
    image_ids: list[int] = field(default_factory=list)
    caption_ids: list[int] = field(default_factory=list)


def is_folder_name(name: str) -> bool:
    """Return whether ``name`` may name a data set folder: one plain path component."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) is not None


def load_karpathy(name: str, folder: Path) -> RetrievalDataset:
    """Load ``folder/dataset_<name>.json`` (or ``.json.gz``) and locate its images in ``folder``.

    Raises:
        DataError: something is missing, broken, or not as many as a known data set has.
    """
    path = _find_annotations(name, folder)
    text = _read(path)
    entries = _parse(text, path)
    _check_counts(name, path, entries)
    index = index_images(folder)
    located = {split: _locate(path, folder, part, index) for split, part in entries.items()}
    _check_places(path, entries, located)
    digest = hashlib.sha256(text)
    splits = {split: _build(part, located[split], digest) for split, part in entries.items()}
    return RetrievalDataset(name, digest.hexdigest(), splits)


def _register(name: str) -> None:
    def load(data_root: Path, preset: str) -> RetrievalDataset:
        return load_karpathy(name, data_root / name)

    datasets.register(name)(load)


for _name in EXPECTED:
    _register(_name)


def _find_annotations(name: str, folder: Path) -> Path:
    if not folder.parent.is_dir():
        raise DataError(
            f"The data root '{folder.parent}' is no folder, and '{name}' would be in it: {ROOTS}."
        )
    if not folder.is_dir():
        raise DataError(f"There is no folder '{folder}', where '{name}' would be: {ROOTS}.")
    for suffix in (".json", ".json.gz"):
        path = folder / f"dataset_{name}{suffix}"
        if path.is_file():
            return path
    raise DataError(f"'{folder}' has no dataset_{name}.json: docs/data.md tells where to get it.")


def _read(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"'{path}' cannot be read ({error}): get it again.") from None


def _parse(text: bytes, path: Path) -> dict[str, _Entries]:
    """Return the entries of train, val and test, those that occur."""
    try:
        images = json.loads(text)["images"]
        splits: dict[str, _Entries] = {name: _Entries() for name in ("train", "val", "test")}
        for image in images:
            _add(image, splits, path)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(
            f"'{path}' is not a caption file in Karpathy's form ({reason}): get it again."
        ) from None
    _check_names([name for entries in splits.values() for name in entries.names], path)
    return {name: entries for name, entries in splits.items() if entries.names}


def _add(image: dict[str, Any], splits: dict[str, _Entries], path: Path) -> None:
    name = _image_name(image, path)
    split = SPLIT_NAMES.get(image["split"])
    if split is None:
        raise DataError(
            f"'{path}' puts '{name}' into an unknown split '{image['split']}': mend it."
        )
    sentences = image.get("sentences") or []
    if not sentences:
        raise DataError(f"'{path}' has no captions for '{name}': get the file with sentences.")
    entries = splits[split]
    entries.names.append(name)
    captions = [_caption(sentence) for sentence in sentences]
    if not is_text("".join(captions)):
        raise DataError(f"'{path}' has half a character in a caption of '{name}': mend it.")
    entries.captions.append(captions)
    entries.image_ids.append(_id(image.get("cocoid", image.get("imgid", -1))))
    entries.caption_ids += [_id(sentence.get("sentid", -1)) for sentence in sentences]


def _caption(sentence: dict[str, Any]) -> str:
    raw = sentence["raw"]
    if not isinstance(raw, str):
        raise TypeError(f"a caption is {raw!r}")
    return raw


def _id(value: object) -> int:
    number = int(str(value))
    if number.bit_length() > 63:
        raise OverflowError(f"the id {number} is too large")
    return number


def _check_names(names: list[str], path: Path) -> None:
    if not names:
        raise DataError(f"'{path}' lists no images: get it again.")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DataError(f"'{path}' lists '{name}' {count} times: keep one.")


def _image_name(image: dict[str, Any], path: Path) -> str:
    """Return ``filepath/filename``, refused where it would lead out of the data set."""
    name = PurePosixPath(image.get("filepath") or "") / image["filename"]
    if name.is_absolute() or ".." in name.parts or "\\" in str(name):
        raise DataError(f"'{path}' names an image outside its folder, '{name}': mend it.")
    if not is_text(str(name)):
        raise DataError(f"'{path}' has half a character in the name {str(name)!a}: mend it.")
    return str(name)


def _check_counts(name: str, path: Path, entries: dict[str, _Entries]) -> None:
    for split, expected in EXPECTED.get(name, {}).items():
        count = len(entries[split].names) if split in entries else 0
        if count not in expected:
            raise DataError(
                f"'{path}' has {count} {split} images where {name} has {expected[0]}: get it again."
            )


def _build(entries: _Entries, locations: list[Location], digest: hashlib._Hash) -> Split:
    """Assemble a split; its images' names and sizes in bytes go into ``digest``."""
    names = entries.names
    for name, location in zip(names, locations, strict=True):
        digest.update(f"{name}\0{location.size}\n".encode())
    return build_split(
        ArchivedImages(locations),
        names,
        entries.captions,
        image_ids=np.array(entries.image_ids, dtype=np.int64),
        caption_ids=np.array(entries.caption_ids, dtype=np.int64),
    )


def _locate(path: Path, folder: Path, entries: _Entries, index: ImageIndex) -> list[Location]:
    names = entries.names
    found = [index.find(name) for name in names]
    missing = [name for name, location in zip(names, found, strict=True) if location is None]
    if missing:
        raise DataError(
            f"'{folder}' lacks {len(missing)} of {len(names)} images that '{path.name}' lists, "
            f"first '{missing[0]}': put them into images/, a .tar or a .zip there."
        )
    return [location for location in found if location is not None]


def _check_places(
    path: Path, entries: dict[str, _Entries], located: dict[str, list[Location]]
) -> None:
    """Refuse one file for two images, as where those of a folder are missing."""
    owners: dict[tuple[Path, str], str] = {}
    for split, locations in located.items():
        for name, location in zip(entries[split].names, locations, strict=True):
            owner = owners.setdefault((location.container.path, location.name), name)
            if owner != name:
                raise DataError(
                    f"'{path}' lists '{owner}' and '{name}', and '{location.name}' in "
                    f"'{location.container.path}' would be both: put each into its own folder."
                )
