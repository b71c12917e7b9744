"""Quoted figures: sourced, and consistent with themselves."""

from __future__ import annotations

import re

import pytest

from bench.published import COLUMNS, published
from bench.tables import tables

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


@pytest.mark.parametrize("number", ["2", "6"])
def test_the_pages_on_time_quote_every_relation_of_times(number: str) -> None:
    text = tables[number].tail()
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    timed = [row for row in published() if row["per_mille_of_single_stream"]]
    assert [line.strip("|").split("|")[0].strip() for line in lines] == [r["system"] for r in timed]
    assert all(part.strip() for line in lines for part in line.strip("|").split("|"))
