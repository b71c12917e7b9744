"""The page of recipes says what the presets hold, and claims no search without a source."""

from __future__ import annotations

import re
from functools import reduce
from pathlib import Path

import pytest

from bench.ablation import makings
from cookie.presets import preset

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


def tables() -> list[list[list[str]]]:
    """Return the cells of every table, heads first, without backticks."""
    blocks = re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
    return [
        [
            [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
            for line in block.splitlines()
            if not set(line) <= set("|-")
        ]
        for block in blocks
    ]


def value(name: str, setting: str) -> str:
    return str(reduce(getattr, setting.split("."), preset(name)))


def test_there_are_four_tables() -> None:
    assert [len(rows) > 2 for rows in tables()] == [True] * 4
    assert all(len(row) == len(rows[0]) for rows in tables() for row in rows)


@pytest.mark.parametrize("table", [0, 1])
def test_what_is_listed_is_what_the_preset_holds(table: int) -> None:
    for setting, name, written, *_ in tables()[table][1:]:
        assert value(name, setting) == written, setting


def test_the_recipes_are_the_presets() -> None:
    (_, *names), *rows = tables()[2]
    assert names == ["tiny", "small", "paper"]
    for setting, *written in rows:
        assert [value(name, setting) for name in names] == written, setting


def test_the_rates_of_fine_tuned_rows_are_among_those_that_were_tried() -> None:
    ours = makings.fine_tuned(preset("small")).train
    tried = {(float(row[0]), float(row[1])) for row in tables()[3][1:]}
    assert (ours.encoder_rate, ours.learning_rate) in tried


def test_every_search_has_its_source_in_the_code() -> None:
    """The sentences that the page rests on are still there."""
    sources = {name: (ROOT / name).read_text(encoding="utf-8") for name in SOURCES}
    for name, sentences in SOURCES.items():
        flat = " ".join(sources[name].split())
        for sentence in sentences:
            assert sentence in flat, (name, sentence)


SOURCES = {
    "cookie/presets.py": (
        "Of 1e-3, 2e-3 and 4e-3 the best for the plain dual-stream on validation.",
        "A tighter crop would cut objects off that the captions count.",
    ),
    "cookie/config.py": ("the value is chosen on validation", "their loss stayed at chance"),
    "README.md": ("on Flickr8k's validation split", "whose captions name colors and sides"),
}
