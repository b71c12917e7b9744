"""What a record's parts have to be, so that a file that someone changed is named, not tripped over.

Names and types are checked when a record is read. What stands deeper, in values and samples,
differs from kind to kind; :func:`readable` says in one sentence where it is not as it should be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from cookie.errors import DataError, one_line

Types: TypeAlias = Mapping[str, type | tuple[type, ...]]

TYPES: Types = {
    "regime": str,
    "config": Mapping,
    "dataset_facts": Mapping,
    "hardware": Mapping,
    "environment": Mapping,
    "values": Mapping,
    "samples": Mapping,
    "seconds": (int, float),
    "created": str,
}
CELL: Types = {"kind": str, "system": str, "seed": int, "gallery": int}
STAMP: Types = {
    "dataset": str,
    "dataset_sha256": str,
    "preset": str,
    "config_digest": str,
    "protocol": Mapping,
}
MISSHAPEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What comes of reading values that are not as they should be."""


def type_problems(part: object, types: Types) -> Iterator[str]:
    """Yield a sentence for every field of a record's part that is of another type."""
    for name, kind in types.items():
        if not isinstance(getattr(part, name), kind):
            yield f"'{name}' is a {type(getattr(part, name)).__name__}."


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn what is raised by values of another shape into a sentence that names ``what``.

    Raises:
        DataError: the block failed on a record's values.
    """
    try:
        yield
    except MISSHAPEN as error:
        raise DataError(
            f"{what} cannot be made of its records ({type(error).__name__}: {one_line(error)}): "
            "python -m bench.validate names those that are not sound."
        ) from error
