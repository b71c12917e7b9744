"""HTML that cannot be broken by its content: plain strings are escaped, markup is not."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_EMPTY = ("br", "img", "meta", "input")
_INLINE = re.compile(
    r"`([^`]+)`|\*\*([^*]+)\*\*|(?<!\*)\*([^*\s][^*]*)\*"
    r"|\[([^\]]+)\]\(((?:https?:)?[\w./#%-]+)\)"  # a link to a page, never to a script
)


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | None) -> Markup:
    """Return an element; children that are no :class:`Markup` and all attributes are escaped.

    A trailing underscore of an attribute's name is dropped, another one becomes a hyphen; an
    attribute that is None is left out.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{join(children)}</{name}>")


def join(children: Iterable[str], between: str = "") -> Markup:
    """Return the children one after the other, escaped where they are plain."""
    return Markup(between.join(map(escaped, children)))


def escaped(text: str) -> Markup:
    """Return ``text`` as it is to be read, markup as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(text))


def prose(text: str) -> Markup:
    """Return a sentence of this suite: `code`, **strong**, *emphasis* and links are set."""
    parts, end = list[str](), 0
    for found in _INLINE.finditer(text):
        parts += [escaped(text[end : found.start()]), _set(*found.groups())]
        end = found.end()
    return join([*parts, text[end:]])


def plain(text: str) -> str:
    """Return a sentence's words alone, as they are for an attribute."""
    return _INLINE.sub(lambda found: next(filter(None, found.groups())), text)


def _set(
    code: str | None, strong: str | None, emphasis: str | None, words: str | None, to: str | None
) -> Markup:
    if code is not None:
        return tag("code", code)
    if strong is not None:
        return tag("strong", strong)
    if emphasis is not None:
        return tag("em", emphasis)
    return tag("a", words or "", href=to)
