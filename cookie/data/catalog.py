"""Where data sets are found: by a registered name, or as a folder of their own."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from cookie.data import scenes as scenes  # registers itself
from cookie.data.dataset import RetrievalDataset, datasets, growers
from cookie.data.karpathy import ROOTS, is_folder_name, load_karpathy
from cookie.errors import DataError, UserError, unknown


def find_data_root(data_root: Path | None = None) -> Path:
    """Return ``data_root``, else the environment's ``COOKIE_DATA``, else ``data`` right here."""
    return data_root or Path(os.environ.get("COOKIE_DATA") or "data")


def load_dataset(
    name: str, data_root: Path | None = None, preset: str = "tiny"
) -> RetrievalDataset:
    """Load a data set by name, checking it whole: counts, captions, and that images exist.

    Args:
        name: a registered name, or any other that has a folder ``<data root>/<name>``: in
            Karpathy's form with a ``dataset_<name>.json``, else with WebDataset shards or with
            photographs and their captions side by side.
        data_root: where data sets lie; see :func:`find_data_root`.
        preset: decides how much generated data there is; photographs ignore it.

    Raises:
        UserError: no such data set (the nearest name is suggested), or a module of
            ``COOKIE_MODULES`` is missing.
        DataError: it is missing, incomplete or broken.
    """
    root = find_data_root(data_root)
    if name in datasets:
        return datasets[name](root, preset)
    if is_folder_name(name) and (root / name).is_dir():
        return _load_folder(name, root / name)
    raise _unknown(name, root)


def _load_folder(name: str, folder: Path) -> RetrievalDataset:
    from cookie.data.shard_dataset import has_samples, load_samples

    if any(folder.glob(f"dataset_{name}.json*")):
        return load_karpathy(name, folder)
    if has_samples(folder):
        return load_samples(name, folder)
    raise DataError(
        f"'{folder}' has no dataset_{name}.json, no shards, and no images with captions beside "
        "them: docs/data.md tells the layout."
    )


def _unknown(name: str, root: Path) -> UserError:
    """Return the error for a name that is neither registered nor that of a folder in ``root``."""
    folders = set[str]()
    if not root.is_dir():
        more = f"; others would be folders in the data root, and '{root}' is no folder: {ROOTS}"
    else:
        folders = {path.name for path in root.iterdir() if path.is_dir()}
        more = f", or make a folder '{root / name}'" if is_folder_name(name) else ""
    near = difflib.get_close_matches(name, folders.union(datasets), n=1)  # a root may hold anything
    return unknown("dataset", name, near or datasets, more)


def can_grow(name: str) -> bool:
    """Whether more training images of data set ``name`` can be made than it has."""
    return name in growers
