"""A typed registry of named things, filled with a decorator."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from cookie.errors import unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things of one kind; a duplicate name raises, an unknown one suggests the nearest."""

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
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries
