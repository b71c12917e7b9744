"""What a record's parts have to be, so that a file that someone changed is named, not tripped over.

Names and types are checked when a record is read. What stands deeper, in values and samples,
differs from kind to kind; :func:`readable` says in one sentence where it is not as it should be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from cookie.errors import DataError

if TYPE_CHECKING:
    from bench.records import Cell, Record, Stamp

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


def type_problems(part: Record | Cell | Stamp, types: Types) -> Iterator[str]:
    """Yield a sentence for every field of ``part`` that is of another type."""
    for name, kind in types.items():
        if not isinstance(getattr(part, name), kind):
            yield f"'{name}' is a {type(getattr(part, name)).__name__}."


def check_types(record: Record) -> None:
    """Raise :class:`TypeError` where the record's fields or its section's are of other types."""
    for part, types in ((record.cell, CELL), (record.stamp, STAMP), (record, TYPES)):
        for problem in type_problems(part, types):
            raise TypeError(problem)
    if not isinstance(record.hardware.get("slug"), str):
        raise TypeError("the hardware has no 'slug'.")
    if not isinstance(record.stamp.protocol.get("limit"), int | None):
        raise TypeError("the protocol's 'limit' is no number.")


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn what is raised by values of another shape into a sentence that names ``what``.

    Raises:
        DataError: the block failed on a record's values.
    """
    try:
        yield
    except MISSHAPEN as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{what} cannot be made of its records ({type(error).__name__}: {reason}): "
            "python -m bench.validate names those that are not sound."
        ) from error
