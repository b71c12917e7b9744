"""A typed registry of named things, filled with a decorator, and by modules of users."""

import importlib
import os
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from cookie.errors import UserError, unknown

T = TypeVar("T")


def import_modules() -> None:
    """Import what ``COOKIE_MODULES`` names, with commas between: modules that register things.

    The environment says it to every process that a command starts.

    Raises:
        UserError: there is no such module; what else goes wrong in one is its own.
    """
    for name in os.environ.get("COOKIE_MODULES", "").replace(",", " ").split():
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):  # something that the module imports
                raise
            raise UserError(
                f"COOKIE_MODULES names '{name}', which cannot be imported ({error}): name a module "
                "that is installed, or lies here or in a folder of PYTHONPATH."
            ) from None


class Registry(Generic[T]):
    """Named things of one kind; a duplicate name raises, an unknown one suggests the nearest.

    What is not there yet is looked for in the modules of users (:func:`import_modules`).
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that stores its argument under ``name`` and hands it back."""

        def store(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return store

    def __getitem__(self, name: str) -> T:
        """Return the entry; raise :class:`cookie.errors.UserError` for an unknown ``name``."""
        if name not in self:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        import_modules()
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        if name not in self._entries:
            import_modules()
        return name in self._entries
