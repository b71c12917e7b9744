"""Table 1 against the records it is made from."""

from __future__ import annotations

import numpy as np
import pytest

from bench.ablation.sharing_points import LONGER
from bench.findings.sections import View, views
from bench.layout import Marked, Missing
from bench.records import Cell
from bench.tables import tables
from bench.tables.table_1 import TUNED, UNTOUCHED, chance
from tests.bench.hand_made import CAPTIONS, IMAGES, uniform, whole_section


def section() -> View:
    (only,) = views(whole_section())
    return only


def test_rows_and_values() -> None:
    rows = {row["system"]: row for row in tables["1"].block(section()).rows}
    assert list(rows) == [
        "ridge floor",
        "dual-stream",
        "COOKIE",
        "single-stream",
        "COOKIE, top 16 re-ranked",
    ]
    assert rows["COOKIE"]["i2t_r1"] == pytest.approx(65.0)
    assert rows["COOKIE"]["rsum"] == pytest.approx(390.0)


def test_the_reference_is_not_compared_with_itself() -> None:
    rows = {row["system"]: row for row in tables["1"].block(section()).rows}
    assert isinstance(rows["dual-stream"]["difference"], Missing)
    assert rows["COOKIE"]["difference"].startswith("+210.0")
    assert rows["COOKIE"]["p_value"] < 0.05


def test_a_difference_inside_the_interval_is_no_difference() -> None:
    (view,) = views([uniform("dual_stream", 20), uniform("cookie", 21)])
    rows = {row["system"]: row for row in tables["1"].block(view).rows}
    assert rows["COOKIE"]["difference"].endswith("no difference")


@pytest.mark.parametrize(
    ("ours", "theirs", "doubt"),
    [
        ((30, 31, 29), (10, 11, 12), ""),
        ((20, 30, 40), (10, 11, 12), "too few seeds"),
        ((30,), (10,), "one seed"),
        ((30,), (10, 11, 12), "one seed"),
    ],
)
def test_trainings_that_differ_are_in_the_interval_or_told_of(
    ours: tuple[int, ...], theirs: tuple[int, ...], doubt: str
) -> None:
    records = [uniform("cookie", good, seed=seed) for seed, good in enumerate(ours)]
    records += [uniform("dual_stream", good, seed=seed) for seed, good in enumerate(theirs)]
    (view,) = views([*records, uniform("ridge_floor", 1)])
    rows = {row["system"]: row for row in tables["1"].block(view).rows}
    assert rows["COOKIE"]["difference"].partition(", ")[2] == doubt
    assert rows["COOKIE"]["p_value"] < 0.05 or doubt == "too few seeds"
    assert rows["ridge floor"]["difference"].endswith(")"), "it has no seeds"


@pytest.mark.parametrize(
    ("cookie", "bold"),
    [
        ((35, 36, 34), True),
        ((21, 21, 21), False),
        ((20, 30, 40), False),
        ((35,), False),
    ],
    ids=["told", "no difference", "too few seeds", "one seed"],
)
def test_the_best_is_bold_where_its_lead_over_every_other_row_is_told(
    cookie: tuple[int, ...], bold: bool
) -> None:
    goods = {"dual_stream": (10, 11, 12), "single_stream": (20, 19, 21), "cookie": cookie}
    records = [uniform(name, g, seed=s) for name, own in goods.items() for s, g in enumerate(own)]
    (view,) = views([*records, uniform("ridge_floor", 1)])
    (common,) = tables["1"].block(view).grids
    assert ["**" in row["rsum_text"] for row in common.rows] == [False, False, bold, False]


def test_nothing_is_bold_where_it_is_the_best_of_itself() -> None:
    (view,) = views([uniform("cookie", 21, seed=seed) for seed in (0, 1, 2)])
    assert "**" not in tables["1"].block(view).markdown


def test_a_training_that_collapsed_is_marked() -> None:
    (view,) = views([uniform("cookie", 5), uniform("dual_stream", 30)])
    collapsed, learned = tables["1"].block(view).rows[::-1]
    assert collapsed["rsum"] < 2 * chance(IMAGES, CAPTIONS)
    assert "collapsed" in collapsed["system"].remark
    assert learned["system"] == "dual-stream"


def test_chance_is_what_random_answers_reach() -> None:
    generator = np.random.default_rng(0)
    owner, found = np.arange(CAPTIONS) % IMAGES, 0.0
    for _ in range(300):
        places = generator.permuted(np.tile(np.arange(CAPTIONS), (IMAGES, 1)), axis=1)
        first = np.stack([row[owner == image].min() for image, row in enumerate(places)])
        ranks = generator.integers(IMAGES, size=CAPTIONS)
        found += sum(100 * ((first < k).mean() + (ranks < k).mean()) for k in (1, 5, 10)) / 300
    assert chance(IMAGES, CAPTIONS) == pytest.approx(found, rel=0.02)


def test_sampled_queries_are_marked_with_gallery() -> None:
    (view,) = views([uniform("single_stream", 20, sampled=True)])
    (row,) = tables["1"].block(view).rows
    assert isinstance(row["queries"], Marked)
    assert "full gallery (80 captions, 40 images)" in row["queries"].remark


def test_cells_need_no_speed() -> None:
    cells = tables["1"].cells((0, 1), False)
    assert {cell.kind for cell in cells} == {"train", "accuracy"}
    assert Cell("train", "dual_stream_triplet", 1) in cells
    assert Cell("accuracy", "ridge_floor", 0) in cells
    assert Cell("train", "ridge_floor", 0) not in cells


def test_rows_that_were_trained_otherwise_stand_apart_and_none_of_them_is_best() -> None:
    asked, usual = (
        {cell.system for cell in tables["1"].cells((0,), variants)} for variants in (True, False)
    )
    assert asked - usual == {*LONGER, *TUNED, *UNTOUCHED}
    names = {"cookie": 20, "cookie_steps_2": 30, "single_stream_steps_4": 40, "dual_stream": 12}
    names["cookie_finetuned"] = 35
    seeds = [(name, good, seed) for name, good in names.items() for seed in (0, 1)]
    (view,) = views([uniform(name, good, seed=seed) for name, good, seed in seeds])
    block = tables["1"].block(view)
    common, longer = block.grids
    assert [row["system"] for row in common.rows] == ["dual-stream", "COOKIE"]
    assert [row["system"] for row in longer.rows] == [
        "COOKIE, 2 times the steps",
        "single-stream, 4 times the steps",
        "COOKIE, encoders fine-tuned",
    ]
    assert "No claim is judged by these rows" in longer.lead
    shown = [row["rsum_text"] for row in (*common.rows, *longer.rows)]
    assert ["**" in text for text in shown] == [False, True, False, False, False]
    assert len(block.rows) == 5


def test_text_encoders_that_have_read_nothing_are_compared_with_each_other() -> None:
    found = {"dual_stream": 30, "cookie": 40, "dual_stream_fresh_text": 10, "cookie_fresh_text": 20}
    found |= {"cookie_glove_text": 25}
    (view,) = views([uniform(name, good) for name, good in found.items()])
    common, controls = tables["1"].block(view).grids
    assert [row["system"] for row in common.rows] == ["dual-stream", "COOKIE"]
    assert "has read no caption before" in controls.heading
    assert "No claim is judged by these rows" in controls.lead
    differences = {row["system"]: row["difference"] for row in controls.rows}
    plain, ours, alone = differences.values()
    assert list(differences)[1] == "COOKIE, fresh text encoder"
    assert isinstance(plain, Missing)
    assert str(ours).startswith("+150.0")
    assert isinstance(alone, Missing), "the dual-stream with GloVe has not been evaluated"


def test_a_section_of_ablated_rows_alone_has_a_table_and_no_curves() -> None:
    (alone,) = views([uniform("cookie_fresh_text", 20), uniform("dual_stream_fresh_text", 10)])
    (grid,) = tables["1"].block(alone).grids
    assert "has read no caption before" in grid.heading
    assert tables["1"].plot([alone]) is None
    beside = tables["1"].plot([section(), alone])
    assert beside is not None
    assert len(beside.axes) == 2


def test_curves_end_where_the_gallery_does() -> None:
    figure = tables["1"].plot([section()])
    assert figure is not None
    image_queries, text_queries = figure.axes
    assert image_queries.get_lines()[0].get_xdata()[-1] == CAPTIONS  # type: ignore[index]
    assert text_queries.get_lines()[0].get_xdata()[-1] == IMAGES  # type: ignore[index]
    assert [line.get_label() for line in text_queries.get_lines()] == [
        row["system"] for row in tables["1"].block(section()).rows
    ]
