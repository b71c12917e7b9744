"""Imports go downward: between the packages, and between the folders and files of each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cookie", "baselines", "bench")


@cache
def sources() -> dict[str, Path]:
    """Return the file of each module by the module's name."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {name_of(file): file for file in files}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(module: str) -> Iterator[str]:
    """Yield the modules of this project that ``module`` imports, anywhere in its file."""
    for node in ast.walk(ast.parse(sources()[module].read_text())):
        if isinstance(node, ast.ImportFrom):
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in sources() else f"{node.module}" for name in inner)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def edges(depth: int, within: str) -> dict[str, set[str]]:
    """Return who imports whom at so many parts of a name, below ``within``."""
    found: dict[str, set[str]] = {}
    for module in sources():
        for other in imported(module):
            pair = [".".join(name.split(".")[:depth]) for name in (module, other)]
            if all(name.startswith(within) for name in pair) and pair[0] != pair[1]:
                found.setdefault(pair[0], set()).add(pair[1])
    return found


def test_there_is_something_to_check() -> None:
    assert len(sources()) > 200
    assert "cookie.retrieval.topk" in imported("cookie.retrieval")


@pytest.mark.parametrize("above", ["baselines", "bench"])
def test_the_model_knows_nothing_of_who_measures_it(above: str) -> None:
    assert above not in edges(1, "").get("cookie", set())
    assert "bench" not in edges(1, "").get("baselines", set())


@pytest.mark.parametrize("package", [f"{name}." for name in PACKAGES])
def test_folders_and_files_of_a_package_import_downward(package: str) -> None:
    try:
        list(TopologicalSorter(edges(2, package)).static_order())
    except CycleError as error:
        pytest.fail(f"These import each other: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("blind", ["cookie.retrieval", "bench.measure"])
def test_search_and_measuring_know_no_model(blind: str) -> None:
    below = [name for name in sources() if name.startswith(blind)]
    models = ("cookie.model", "cookie.nn", "baselines", "transformers", "timm")
    seen = {other for module in below for other in imported(module)}
    assert not [name for name in seen if name.startswith(models)]
