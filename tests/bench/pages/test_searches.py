"""Searches: kept as they were made, rendered from their files alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.pages.searches import Search, Tried, read_searches, render_searches
from cookie.errors import DataError

COMMIT = {"sha": "0123456789abcdef", "dirty": False}


def tried(system: str, value: float, score: float) -> Tried:
    return Tried(system, system.upper(), value, score, 40, 90.0, "d", COMMIT)


SEARCH = Search(
    dataset="scenes",
    preset="tiny",
    regime="scratch",
    hardware="cpu-2c",
    setting="train.learning_rate",
    used=1e-3,
    seed=0,
    steps=320,
    tried=(
        tried("one", 2e-3, 210.0),
        tried("one", 1e-3, 250.5),
        tried("other", 1e-3, 99.0),
        tried("other", 2e-3, 100.25),
    ),
)


def test_a_search_is_read_as_it_was_written(tmp_path: Path) -> None:
    SEARCH.write(tmp_path)
    assert read_searches(tmp_path) == [SEARCH]
    assert SEARCH.path(tmp_path).parent == tmp_path / "scenes" / "searches"


def test_another_setting_or_machine_is_another_file(tmp_path: Path) -> None:
    others = [replace(SEARCH, setting="train.warmup"), replace(SEARCH, hardware="gpu")]
    for search in (SEARCH, *others):
        search.write(tmp_path)
    assert len(read_searches(tmp_path)) == 3


def test_the_page_shows_every_score_and_what_was_best(tmp_path: Path) -> None:
    SEARCH.write(tmp_path)
    page = render_searches(tmp_path)
    assert page == tmp_path / "searches.md"
    text = page.read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if "|" in line
    ]
    head, one, other = rows[0], rows[2], rows[3]
    assert head[:3] == ["system", "**0.001**", "0.002"]
    assert one[:4] == ["ONE", "250.5*", "210.0", "0.001"]
    assert other[:4] == ["OTHER", "99.0", "100.2*", "0.002"]
    assert "commit `0123456789ab`" in text


def test_without_a_search_there_is_no_page(tmp_path: Path) -> None:
    assert render_searches(tmp_path) is None
    replace(SEARCH, tried=()).write(tmp_path)
    assert render_searches(tmp_path) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"tried": 3}', '{"tried": [{"value": 1}]}'])
def test_a_file_that_is_no_search_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "scenes" / "searches" / "x.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(DataError, match=r"x\.json tells of no search"):
        read_searches(tmp_path)
