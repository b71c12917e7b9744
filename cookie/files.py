"""Files that are whole or not there: written beside their place, synced, then renamed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cookie.errors import FULL, UserError

_TIDY: set[Path] = set()
"""Folders in which this process has looked for what killed ones left."""


def home() -> Path:
    """Return the working folder for caches and runs: ``COOKIE_HOME``, or ``.cookie`` here."""
    return Path(os.environ.get("COOKIE_HOME", ".cookie"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block succeeds.

    The data reaches the disk before the name does, so a power cut leaves the old file or the new
    one. When the block fails nothing is left behind and ``path`` is as it was. What a kill left
    goes when a later process writes into the folder and no other does.

    Raises:
        UserError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path.parent, path.name)
    try:
        with _writing_in(path.parent):
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
    except Exception as error:
        if not _is_full(error):
            raise
        raise UserError(f"No space left while writing '{path}': free some and run again.") from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _writing_in(folder: Path) -> Iterator[None]:
    """Share ``folder`` with its other writers, having deleted what killed ones left there.

    A writer holds a lock on the folder itself, which the system lets go of when it dies: whoever
    gets the lock for itself alone knows that nobody is writing. Once a process and folder is
    enough, and a cache has thousands of files.
    """
    descriptor, place = os.open(folder, os.O_RDONLY), folder.resolve()
    try:
        if place not in _TIDY and _locked(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
            _TIDY.add(place)
            for path in filter(_is_partial, place.iterdir()):
                path.unlink(missing_ok=True)
        _locked(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int, how: int) -> bool:
    """Return whether the lock is ours: another may have it, or the file system has none."""
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        return False
    return True


def _is_partial(path: Path) -> bool:
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.partial", path.name, re.DOTALL) is not None


def remove_partial(folder: Path) -> None:
    """Delete what a kill left of :func:`replacing` in ``folder``, where nothing else may write.

    That includes the hidden file that safetensors writes before it renames it to ours.
    """
    for pattern in (".*.partial", ".tmp??????"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401 -- whatever JSON can hold
    """Write ``content`` as indented JSON, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_place(path: Path) -> None:
    """Raise unless a file can be written at ``path``: for what works long before it writes.

    Nothing is made, neither the file nor folders that it will be in.

    Raises:
        UserError: it is a folder, or the system does not let one write there.
    """
    try:
        if path.is_dir():
            raise UserError(f"'{path}' is a folder: name a file in it.")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        trial = _temporary(folder, path.name)
        trial.touch()
        trial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"'{path}' cannot be written ({error.strerror}): name another.") from None


def _temporary(folder: Path, name: str) -> Path:
    return folder / f".{name}.{uuid.uuid4().hex[:8]}.partial"


def require_folder(folder: Path, flag: str) -> None:
    """Raise unless ``folder`` can be written to or made; nothing is made yet.

    Args:
        folder: that a run is going to write to.
        flag: of the command line that names it, or the folder that it lies in.

    Raises:
        UserError: a file is in its way, or one may not write there.
    """
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise UserError(f"'{there}' is no folder, so nothing can be put there: mend {flag}.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"'{there}' cannot be written to: allow it, or name another with {flag}.")


def require_space(folder: Path, size: int) -> None:
    """Raise :class:`UserError` unless the disk under ``folder`` has ``size`` bytes free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise UserError(
            f"'{folder}' needs {size} bytes and has {free} free: free some, or set COOKIE_HOME "
            "to a folder on a larger disk."
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_full(error: Exception) -> bool:
    """Tell whether ``error`` means a full disk; safetensors wraps the system's error in text."""
    if isinstance(error, OSError):
        return error.errno in FULL
    found = re.search(r"os error (\d+)", str(error))
    return found is not None and int(found.group(1)) in FULL
