"""Checkpoints of others by name or folder; what goes wrong is said in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from cookie.errors import UserError, unknown

T = TypeVar("T")


def from_hub(kind: str, name: str, known: Iterable[str], load: Callable[[str], T]) -> T:
    """Return ``load(name)``.

    Args:
        kind: of thing, for the sentence.
        name: a folder, or ``owner/name`` on the hub; any such name is tried, known or not.
        known: names to suggest.
        load: the library's loader.

    Raises:
        UserError: there is no such thing, the hub cannot be reached, or what is there is broken.
    """
    names = list(known)
    if "/" not in name and not Path(name).exists():
        raise unknown(kind, name, names)
    try:
        return load(name)
    except UserError:
        raise
    except Exception as error:  # libraries raise OSError, ValueError, RuntimeError and their own
        nearest = [] if name in names else difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
        raise UserError(
            f"No {kind} '{name}' to be had: check name and network, or give a folder"
            f" ({first_line(error)}).{hint}"
        ) from None


def whole(kind: Any, name: str) -> Any:  # noqa: ANN401 -- untyped library
    """Return the ``transformers`` model ``name``, all of whose weights are the checkpoint's.

    The library fills a part that a checkpoint lacks, such as the head of another task, with
    random weights and a warning; whatever it then finds is chance.

    Args:
        kind: the library's class.
        name: on the hub, or a folder.

    Raises:
        UserError: weights are missing.
    """
    model, found = kind.from_pretrained(name, output_loading_info=True)
    missing = sorted({key for key, _ in model.named_parameters()} & set(found["missing_keys"]))
    if missing:
        raise UserError(
            f"'{name}' lacks {len(missing)} of the weights of {kind.__name__}, such as "
            f"'{missing[0]}': it was trained for something else."
        )
    return model


def first_line(error: Exception) -> str:
    """Return the first line of what ``error`` says, without its full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(". ")
