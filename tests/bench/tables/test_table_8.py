"""Table 8 from hand-made records: rates, extrapolation, quoted accuracy in columns of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bench.findings.sections import View, views
from bench.pages.rendered import Report
from bench.published import published
from bench.records import Record
from bench.report import page
from bench.systems import systems
from bench.tables import tables
from bench.tables.table_8 import PUBLISHED, ROWS, VARIANTS, cells
from tests.bench.hand_made import record, whole_section

TABLE = tables["8"]


def step(rate: float, flops: float, share: float | None = 0.5) -> dict[str, Any]:
    return {"items_per_second": rate, "batch_size": 8, "flops": flops, "share_of_compute": share}


def cost(system: str, seconds: float, **work: dict[str, Any]) -> Record:
    """Return a cost record."""
    values = {
        "parameters": 87_000_000,
        "precision": "bfloat16",
        "weights": "random",
        "caption_tokens": 12.0,
        "work": work,
        "full_evaluation": {"seconds": seconds, "parts": {}, "extrapolated": True},
    }
    return record("cost", system, values)


def view(*records: Record) -> View:
    (found,) = views(records)
    return found


DUAL = cost("open_clip", 6.0, image=step(200.0, 4.4e9), caption=step(900.0, 6e8))
PAIR = cost(
    "single_stream_paper",
    3000.0,
    image=step(20.0, 1.6e10),
    caption=step(1e5, 0.0, 0.0),
    pair=step(50.0, 1.1e10),
)


def rows(text: str, table: int) -> list[dict[str, str]]:
    """Return the rows of the ``table``-th markdown table in ``text``."""
    blocks = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in blocks[table]]
    head, _, *body = lines
    return [dict(zip(head, line, strict=True)) for line in body]


def test_rates_and_the_full_evaluation() -> None:
    dual, pair = rows(TABLE.block(view(DUAL, PAIR)).markdown, 0)
    assert dual["system"] == "CLIP ViT-B/32 (open_clip)"
    assert (dual["parameters"], dual["images/s"], dual["captions/s"]) == ("87 M", "200", "900")
    assert dual["pairs/s"].startswith("n/a [")
    assert dual["full evaluation"].startswith("6 s [")
    assert dual["‰ of single-stream"].startswith("2.00 [")
    assert (pair["pairs/s"], pair["full evaluation"][:8]) == ("50.0", "50.0 min")
    assert pair["‰ of single-stream"].startswith("1,000 [")


def test_extrapolation_is_said() -> None:
    text = TABLE.block(view(DUAL, PAIR)).markdown
    assert "Extrapolated from measured rates to 1,000 images x 5,000 captions." in text
    assert "Random weights" in text


def test_work_an_item_and_its_share_of_the_peak() -> None:
    text = TABLE.block(view(DUAL, PAIR)).markdown
    dual, pair = rows(text, 1)
    assert dual["FLOPs an image"] == "4.4 GFLOP"
    assert (dual["image: share of peak"], dual["pair: share of peak"][:3]) == ("50 %", "n/a")
    assert pair["FLOPs a caption"].startswith("n/a [")
    assert "A table of embeddings, no product." in text


def test_more_than_the_peak_is_not_shown_as_it_stands() -> None:
    made = cost("open_clip", 6.0, image=step(200.0, 4.4e9, 1.9), caption=step(900.0, 6e8))
    text = TABLE.block(view(made)).markdown
    (row,) = rows(text, 1)
    assert row["image: share of peak"].startswith("190 % [")
    assert "More than the whole" in text


def test_published_accuracy_is_quoted_with_its_source() -> None:
    dual, pair = rows(TABLE.block(view(DUAL, PAIR)).markdown, 2)
    assert dual["Flickr30K 1K, i2t R@1"] == "81.2"
    assert dual["COCO 5K, t2i R@1"] == "30.42"
    assert "arXiv 2204.03359" in dual["source"]
    assert pair["published as"] == "UNITER-base"
    assert pair["COCO 5K, i2t R@1"] == "64.4"


def test_cookie_has_no_published_accuracy() -> None:
    made = cost("cookie_paper", 9.0, image=step(20.0, 1e10), caption=step(90.0, 1e9))
    text = TABLE.block(view(made)).markdown
    (row,) = rows(text, 2)
    assert all(cell.startswith("n/a [") for key, cell in row.items() if key != "system")
    assert "of COOKIE only the abstract is public" in text
    assert "is not measured in this section" in text


@pytest.mark.parametrize("system", PUBLISHED)
def test_every_quotation_exists_for_both_sets(system: str) -> None:
    found = [row for row in published() if row["system"] == PUBLISHED[system]]
    assert {row["dataset"] for row in found} == {"Flickr30K 1K", "COCO 5K"}
    assert all(row["i2t_r1"] and row["t2i_r1"] and row["source"] for row in found)


def test_cells_are_costs_of_the_first_seed() -> None:
    assert [str(cell) for cell in cells((3, 4), False)] == [f"cost {row} seed 3" for row in ROWS]
    assert {cell.system for cell in cells((0,), True)} == {*ROWS, *VARIANTS}
    assert all(systems[row].kinds == ("cost",) for row in (*ROWS, *VARIANTS))


def test_other_tables_do_not_show_the_rows() -> None:
    whole = whole_section()
    ground = dataclasses.replace(DUAL, created=whole[0].created)
    found = view(*whole, ground)
    assert "open_clip" not in found.rows
    assert TABLE.has_rows(found)
    assert "CLIP" not in tables["2"].block(found).markdown
    assert not TABLE.has_rows(view(*whole))


def test_a_page_without_verdicts_has_no_gap() -> None:
    found = view(DUAL)
    report = Report("8", "scenes", Path("table_8.md"), ((found, TABLE.block(found)),))
    assert "\n\n\n" not in page(TABLE, report)


def test_values_of_the_csv_are_plain() -> None:
    (row,) = TABLE.block(view(DUAL)).rows
    assert row["image_flops"] == 4.4e9
    assert row["published"] == "CLIP ViT-B/32 (zero-shot)"
