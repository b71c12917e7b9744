"""Files that are whole or not there: written beside their place, synced, then renamed."""

from __future__ import annotations

import errno
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

from cookie.errors import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def home() -> Path:
    """Return the working folder for caches and runs: ``COOKIE_HOME``, or ``.cookie`` here."""
    return Path(os.environ.get("COOKIE_HOME", ".cookie"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block succeeds.

    The data reaches the disk before the name does, so a power cut leaves the old file or the new
    one. When the block fails nothing is left behind and ``path`` is as it was.

    Raises:
        UserError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
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
        return error.errno in _FULL
    found = re.search(r"os error (\d+)", str(error))
    return found is not None and int(found.group(1)) in _FULL
