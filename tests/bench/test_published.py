"""Quoted figures: sourced, and consistent with themselves."""

from __future__ import annotations

import re

import pytest

from bench.published import COLUMNS, published, published_section

SECONDS = {"s": 1, "min": 60, "h": 3600}


def seconds(text: str) -> float:
    number, unit = text.split()
    return float(number) * SECONDS[unit]


def test_every_figure_has_a_source() -> None:
    for row in published():
        assert set(row) == {column.key for column in COLUMNS}
        assert re.search(r"arXiv|https://|ICCV 2021, abstract", row["source"])
        assert row["standing"]


@pytest.mark.parametrize(("data", "reference"), [("Flickr30K 1K", 2342.0), ("COCO 5K", 180_000.0)])
def test_per_mille_follows_from_the_quoted_times(data: str, reference: float) -> None:
    rows = [row for row in published() if row["dataset"] == data and row["full_evaluation"]]
    assert rows
    for row in rows:
        expected = 1000 * seconds(row["full_evaluation"]) / reference
        assert float(row["per_mille_of_single_stream"]) == pytest.approx(expected, rel=0.01)


def test_section_shows_every_row_and_no_empty_cell() -> None:
    text = published_section()
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert len(lines) == len(published())
    assert all(part.strip() for line in lines for part in line.strip("|").split("|"))
