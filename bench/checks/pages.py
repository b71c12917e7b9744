"""Checks of rendered files: each is what rendering now would give, and its links lead somewhere."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from bench.checks.records import Finding
from bench.pages.searches import FOLDER
from bench.report import render_all

SOURCES = frozenset({"records", FOLDER})
"""Folders of a data set that pages are rendered from."""
DRAWING = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
_DRAWN_BY = re.compile(r"Matplotlib v([\d.]+)")
_LABEL = re.compile(r"<text\b[^>]*>(.*?)</text>", re.DOTALL)
_MARKDOWN_LINK = re.compile(r"\]\(([^)\s]+)\)")


def stale(results: Path) -> list[Finding]:
    """Return the files that rendering now would change, add or never make.

    Raises:
        UserError: a record cannot be read, so nothing can be rendered.
    """
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / results.resolve().name
        for source in sorted(path for name in SOURCES for path in results.glob(f"*/{name}")):
            shutil.copytree(source, fresh / source.relative_to(results))
        readme = results.resolve().parent / "README.md"
        if readme.is_file():
            shutil.copy(readme, fresh.parent / "README.md")
        render_all(fresh)
        return [*_changed(results, fresh), *_readme(readme, fresh.parent / "README.md")]


def _readme(stored: Path, fresh: Path) -> Iterator[Finding]:
    if stored.is_file() and stored.read_bytes() != fresh.read_bytes():
        yield Finding(str(stored), "stale", "its result table is not what the records say now.")


def _changed(results: Path, fresh: Path) -> Iterator[Finding]:
    stored, rendered = rendered_files(results), rendered_files(fresh)
    other_version = _drawn_elsewhere(results, fresh)
    for name in sorted(stored | rendered):
        problem = ""
        if name not in stored:
            problem = "is missing; rendering would make it."
        elif name not in rendered:
            problem = "is left over; no record gives it."
        elif not _same(results / name, fresh / name, elsewhere=other_version):
            problem = "is not what its records give now; run python -m bench.report."
        if problem:
            yield Finding(str(results / name), "stale", f"{_called(name)} {problem}")


def _called(name: Path) -> str:
    """Return what a reader calls the file: its table where it has one."""
    number = re.fullmatch(r"table_(\w+)", name.stem)
    return f"table {number[1]} of {name.parts[0]}" if number else f"'{name.as_posix()}'"


def rendered_files(results: Path) -> set[Path]:
    """Return the files below ``results`` that nothing is rendered from, relative to it."""
    found = {path.relative_to(results) for path in results.rglob("*") if path.is_file()}
    return {name for name in found if not SOURCES & set(name.parts[:-1])}


def _drawn_elsewhere(results: Path, fresh: Path) -> bool:
    """Whether the stored plots are another matplotlib's, whose bytes cannot be compared."""
    return bool(_versions(results) - _versions(fresh))


def _versions(folder: Path) -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.svg")]
    return {version for text in texts for version in _DRAWN_BY.findall(text)}


def _same(stored: Path, fresh: Path, *, elsewhere: bool) -> bool:
    """Compare byte for byte; another version's drawings by the words in them alone."""
    if stored.read_bytes() == fresh.read_bytes():
        return True
    if not elsewhere or stored.suffix not in (".svg", ".png", ".html"):
        return False
    if stored.suffix == ".png":
        return True  # its words are compared in the SVG of the same name
    texts = [path.read_text(encoding="utf-8") for path in (stored, fresh)]
    if stored.suffix == ".html":
        texts = [DRAWING.sub("", text) for text in texts]
        return texts[0] == texts[1]
    return _LABEL.findall(texts[0]) == _LABEL.findall(texts[1])


def broken_links(results: Path) -> list[Finding]:
    """Return the links of the pages below ``results`` that lead nowhere; the web is not asked."""
    return [
        Finding(str(page), "link", f"'{link}' leads nowhere.")
        for page in sorted(results / name for name in rendered_files(results))
        for link in links(page)
        if not _leads_somewhere(page, link)
    ]


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures, each once."""
    if page.suffix == ".md":
        found = _MARKDOWN_LINK.findall(page.read_text(encoding="utf-8"))
    elif page.suffix == ".html":
        found = _Anchors(page).links
    else:
        found = []
    return list(dict.fromkeys(found))


def _leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    if page.suffix == ".html":
        return _Anchors(page).names
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


class _Anchors(HTMLParser):
    """Collects what a page links to and which names can be linked to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's links and its name."""
        for name, value in attrs:
            if value and name in ("href", "src", "xlink:href"):
                self.links.append(value)
            elif value and name == "id":
                self.names.add(value)
