"""Figures that others published: quoted with their source, never in a measured column."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.layout import Column, Grid, markdown_table

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
    """Return the quoted rows as they are printed; an empty cell was not published."""
    rows = [{name: value or "-" for name, value in row.items()} for row in published()]
    lead = (
        "Other data, other hardware: for orientation, not for comparison cell by cell. `-` means "
        "that the source does not say."
    )
    return Grid(COLUMNS, rows, "Published, not measured here", lead)


def published_section() -> str:
    """Return the markdown section of published figures."""
    grid = published_grid()
    table = markdown_table(grid.columns, grid.rows)
    return f"## {grid.heading}\n\n{grid.lead}\n\n{table}"
