"""A folder of photographs as a gallery: encoded once, and again only when something changed."""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cookie.data.pixels import VERSION
from cookie.encoding import Embeddings, encode_images, load_embeddings, save_embeddings
from cookie.errors import UserError
from cookie.files import home, sha256
from cookie.photos.corpus import PhotoCorpus
from cookie.runs import Run
from cookie.training.distributed import ALONE, Processes

Gallery = tuple[Embeddings, dict[str, Any]]
"""Embeddings of images, no captions, and where they come from."""
_AT_ONCE = 32


def encode_photos(run: Run, folder: Path, processes: Processes = ALONE) -> Gallery:
    """Return the embeddings of the photographs in ``folder``, and what they were made of.

    The facts hold the weights' hash and every photograph's size, time and SHA-256, those of the
    broken ones as well, which are left out of the embeddings. Several processes share the
    encoding; the first alone describes the files.

    Raises:
        UserError: there is no such folder, or no photograph in it that can be read.
    """
    device = next(run.model.parameters()).device
    corpus = PhotoCorpus(folder, run.config.vision.image_size, device)
    files = (
        _describe(corpus.paths) if processes.main else {}
    )  # before they are read: a later change is noticed
    images = encode_images(run.model, corpus, _AT_ONCE, progress=True, processes=processes)
    broken = list(itertools.chain(*processes.collect(corpus.broken)))
    whole = np.setdiff1d(np.arange(corpus.image_count), broken)
    if not len(whole):
        raise UserError(f"None of the images in '{folder}' can be read: name another folder.")
    embeddings = Embeddings(images[torch.from_numpy(whole)], images.new_empty(0, images.shape[1]))
    names = [str(corpus.paths[index]) for index in whole]
    return embeddings, {"folder": str(folder.resolve()), "names": names, "files": files} | run.facts


def kept_photos(run: Run, folder: Path) -> Gallery:
    """Return what :func:`encode_photos` does, from the working folder where it is there already.

    Says on the error stream why photographs that were encoded earlier are encoded again.
    """
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    path = home() / "galleries" / f"{name}-{run.digest[:16]}-v{VERSION}.safetensors"
    try:
        if path.exists():
            embeddings, facts = load_embeddings(path)
            check_photos(path, facts)
            return embeddings, facts
    except UserError as error:
        print(f"{error} This is done now.", file=sys.stderr)
    embeddings, facts = encode_photos(run, folder)
    save_embeddings(path, embeddings, facts)
    return embeddings, facts


def check_photos(gallery: Path, facts: Mapping[str, Any]) -> None:
    """Raise :class:`UserError` where photographs are not what ``gallery`` was made of."""
    if "files" not in facts:
        raise UserError(f"'{gallery}' does not say what it was made of: encode it again.")
    changed = changed_photos(facts)
    if changed:
        count = f"{len(changed)} photograph{'s' if len(changed) > 1 else ''}"
        raise UserError(
            f"'{gallery}' is out of date, since {count} came, went or changed, such as "
            f"'{changed[0]}': encode it again."
        )


def changed_photos(facts: Mapping[str, Any]) -> list[Path]:
    """Return the photographs that came, went or changed since :func:`encode_photos`, in order.

    A file of the same size and time counts as the same; any other is read and hashed.

    Raises:
        UserError: the folder is gone or empty.
    """
    before = {Path(name): entry for name, entry in facts["files"].items()}
    now = PhotoCorpus(Path(facts["folder"]), image_size=1).paths
    suspects = [path for path in now if path in before and _stamp(path) != before[path][:2]]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        hashes = dict(zip(suspects, threads.map(_hash, suspects), strict=True))
    changed = {path for path, found in hashes.items() if found != before[path][2]}
    return sorted(changed | (set(now) ^ set(before)))


def _describe(paths: Sequence[Path]) -> dict[str, list[Any]]:
    """Return path -> size, time of the last change in nanoseconds, SHA-256."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        described = threads.map(lambda path: [*_stamp(path), _hash(path)], paths)
        return {str(path): entry for path, entry in zip(paths, described, strict=True)}


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _hash(path: Path) -> str:
    """Return the SHA-256 of a file, nothing where it cannot be read."""
    try:
        return sha256(path)
    except OSError:
        return ""
