"""A rendered section, made once: drawing is most of what rendering takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bench import report
from bench.report import render_all
from bench.sharing import page
from tests.bench.hand_made import whole_section
from tests.bench.test_report import stored


@pytest.fixture(scope="session")
def _rendered_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = stored(tmp_path_factory.mktemp("rendered") / "results", whole_section())
    render_all(results)
    return results


@pytest.fixture
def rendered(_rendered_once: Path, tmp_path: Path) -> Path:
    """Return a results folder with one section, rendered; it may be changed."""
    return shutil.copytree(_rendered_once, tmp_path / "results")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave drawings empty in what this process renders, for tests of words and numbers."""

    def save(_figure: Figure, stem: Path) -> None:
        for suffix in (".svg", ".png"):
            stem.with_suffix(suffix).write_text("<svg/>")

    for module in (report, page):
        monkeypatch.setattr(module, "save", save)
