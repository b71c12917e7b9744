"""What all tests share: two workers on two cores, and a heap that is looked through once."""

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported, which is later


def pytest_collection_finish() -> None:
    """Leave the imported modules, a million objects, out of every later garbage collection."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let go of them at the end, as libraries that look for leaks expect."""
    gc.unfreeze()
