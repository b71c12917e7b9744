"""Arrays kept on disk: mapped into memory where they are whole, made again where they are not."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOG = logging.getLogger("cookie")


def open_array(path: Path, shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any] | None:
    """Return the array in ``path``, read-only; None where it is missing or to be made again.

    A file that is there and cut off, or something else, is named in the log.

    Args:
        path: of the ``.npy`` file.
        shape: that it has to have, and the file all the bytes of.
        kind: of its numbers.
    """
    if not path.is_file():
        return None
    try:
        found = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # whatever a harmed header makes of its parser
        told = str(error) or type(error).__name__
    else:
        if found.shape == shape and found.dtype == kind:
            return found
        told = f"{found.dtype} {found.shape} instead of {np.dtype(kind)} {shape}"
    warn_of(path, told)
    return None


def warn_of(path: Path, fault: object) -> None:
    """Say in the log that what ``path`` holds is of no use and is made again."""
    _LOG.warning("'%s' is damaged (%s): it is made again.", path, fault)
