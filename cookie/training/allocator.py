"""How the C library hands out memory while a CPU trains."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = -1


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees; return whether the C library does so.

    Every activation of a step is as large as in the step before, but the GNU C library returns
    large blocks to the operating system and asks for fresh ones, each page of which is cleared
    and mapped when it is first written. Training a convolutional network at 224 pixels in
    float32 took twice the time for it. The process stays as large as it once was.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _NEVER))
