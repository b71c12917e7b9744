"""Figures that others published: quoted with their source, never in a measured column."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.layout import Column, Grid

PATH = Path(__file__).with_name("published.csv")
COLUMNS = (
    Column("system", "system", align="left"),
    Column("family", "family", align="left"),
    Column("dataset", "data", align="left"),
    Column("setting", "setting", align="left"),
    Column("i2t_r1", "i2t R@1"),
    Column("t2i_r1", "t2i R@1"),
    Column("full_evaluation", "full evaluation"),
    Column("per_mille_of_single_stream", "‰ of its single-stream"),
    Column("source", "source", align="left"),
    Column("standing", "standing", align="left"),
)


def published() -> list[dict[str, str]]:
    """Return the quoted rows, as they stand in ``published.csv``."""
    with PATH.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def published_grid() -> Grid:
    """Return the quoted rows that relate time to a single-stream's, as they are printed.

    Rows of accuracy alone belong beside the architecture that they are of, in table 8.
    """
    timed = [row for row in published() if row["per_mille_of_single_stream"]]
    rows = [{name: value or "-" for name, value in row.items()} for row in timed]
    lead = (
        "Other data, other hardware: for orientation, not for comparison cell by cell. `-` means "
        "that the source does not say."
    )
    return Grid(COLUMNS, rows, "Published, not measured here", lead)
