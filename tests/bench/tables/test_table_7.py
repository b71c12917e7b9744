"""Table 7 against records in which the right answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.findings.sections import View, views
from bench.findings.shortlist_evidence import comparable, evidence, names
from bench.layout import Marked, Missing
from bench.records import Cell, Record
from bench.tables import Block, tables
from tests.bench.hand_made import efficiency, shortlist_speed, shortlists, uniform

GOOD = {"alone": 8, "1": 8, "2": 16, "4": 30, "8": 32, "whole": 32}
SPEED = {"alone": 0.001, "1": 0.002, "2": 0.003, "4": 0.005, "8": 0.009, "whole": 0.2}


def made(good: dict[str, int] | None = None, asked: int = 40) -> list[Record]:
    return [
        shortlists(good or GOOD, asked=asked),
        shortlist_speed(SPEED),
        efficiency("cookie", 1.0),
        efficiency("single_stream", 500.0, extrapolated=True),
    ]


def stamped(record: Record, *weights: str) -> Record:
    """Return the record as made with these weights."""
    protocol = {**record.stamp.protocol, "weights": list(weights)}
    return replace(record, stamp=replace(record.stamp, protocol=protocol))


def view(records: list[Record]) -> View:
    (found,) = views(records)
    return found


def block(records: list[Record] | None = None) -> Block:
    return tables["7"].block(view(records or made()))


def test_one_row_a_length_with_the_end_points_around() -> None:
    rows = block().rows
    labels = ["COOKIE alone", "1", "2", "4", "8", "single-stream alone"]
    assert [row["k"] for row in rows] == labels
    assert [row["rsum"] for row in rows] == pytest.approx([15 * n for n in GOOD.values()])
    assert [row["p50_s"] for row in rows] == list(SPEED.values())
    times = [r["evaluation_s"] for r in rows[:-1]]
    assert times == pytest.approx([1.0, 2.0, 3.0, 5.0, 9.0])
    assert rows[2]["per_mille"].value == pytest.approx(6.0)
    assert isinstance(rows[-1]["evaluation_s"], Marked)
    assert isinstance(rows[0]["against_alone"], Missing)
    assert isinstance(rows[-1]["against_whole"], Missing)


def test_the_sentences_name_the_first_length_that_is_enough() -> None:
    equality, gain = block().sentences
    assert "no difference from the whole single-stream can be told from k = 4 on" in equality
    assert "RSUM -30.0" in equality
    assert "a query takes 5 ms (COOKIE alone 1 ms, the single-stream alone 200 ms)" in equality
    assert "the full evaluation 5 s, 10.0 per mille" in equality
    assert "statistically better from k = 2 (RSUM +120.0" in gain
    assert "largest gain at k = 8 (+360.0)" in gain
    assert "40 image and 80 text queries" in equality


def test_a_length_that_is_equal_by_accident_is_not_the_answer() -> None:
    """Equality has to hold at every larger length as well."""
    good = GOOD | {"1": 32, "2": 16}
    assert "from k = 4 on" in block(made(good)).sentences[0]


def test_never_equal_and_never_better() -> None:
    worse = {"alone": 30, "1": 30, "2": 10, "whole": 39}
    equality, gain = block(made(worse)).sentences
    assert "at k = 2 it can still be told from it" in equality
    assert "statistically better at no k; best at k = 1 (RSUM +0.0" in gain
    assert "worse at k = 2" in gain


def test_a_sample_is_compared_on_the_same_queries() -> None:
    rows = block(made(asked=20)).rows
    whole, four = rows[-1], rows[3]
    assert isinstance(whole["queries"], Marked)
    assert whole["queries"].value == "20 + 40"
    assert four["queries"] == "40 + 80"
    assert whole["rsum"] == pytest.approx(600.0)  # of the first 20 images all are found
    assert four["rsum"] == pytest.approx(450.0)
    assert four["against_whole"].startswith("+0.0 (+0.0 to +0.0)")
    drawn = comparable(view(made(asked=20)))
    assert list(drawn) == list(GOOD)
    assert drawn["4"].rsum == pytest.approx(600.0)


def test_all_answers_of_the_single_stream_count_where_its_weights_are_the_same() -> None:
    """A sample of 20 images, all of them right, against 32 of all 40."""
    sampled, *times = made(asked=20)
    full = uniform("single_stream", GOOD["whole"])
    rows = block([stamped(sampled, "dual", "pair"), stamped(full, "pair"), *times]).rows
    assert rows[-1]["queries"] == "40 + 80"
    assert rows[-1]["rsum"] == pytest.approx(480.0)
    assert rows[2]["against_whole"].startswith("-240.0")
    for weights in (["another"], ["pair", "x"], list[str]()):
        rows = block([stamped(sampled, "dual", "pair"), stamped(full, *weights), *times]).rows
        assert rows[-1]["rsum"] == pytest.approx(600.0), weights
    later = stamped(uniform("single_stream", GOOD["whole"], seed=1), "pair")
    assert block([stamped(sampled, "dual", "pair"), later, *times]).rows[-1]["rsum"] > 599


def test_a_length_that_only_a_sample_was_asked_is_not_drawn_beside_all() -> None:
    sampled, *times = made(asked=20)
    for name in ("i2t", "t2i"):
        del sampled.samples["groups"][1][name]["rank"]["8"]
    full = stamped(uniform("single_stream", GOOD["whole"]), "pair")
    found = view([stamped(sampled, "dual", "pair"), full, *times])
    assert list(comparable(found)) == ["alone", "1", "2", "4", "whole"]
    assert evidence(found, "8").rsum == pytest.approx(600.0)


def test_seeds_are_averaged() -> None:
    both = [shortlists(GOOD), shortlists(GOOD | {"4": 20}, seed=1), *made()[1:]]
    found = view(both)
    assert names(found)[0] == "alone"
    assert evidence(found, "4").rsum == pytest.approx(15 * 25)


def test_without_speed_accuracy_is_shown() -> None:
    only = [shortlists(GOOD)]
    laid_out = block(only)
    assert all(isinstance(row["p50_s"], Missing) for row in laid_out.rows)
    assert "at a cost" not in laid_out.sentences[0]
    assert tables["7"].plot([view(only)]) is None
    assert not tables["7"].has_rows(view([uniform("cookie", 3)]))


def test_no_cell_is_empty_or_none() -> None:
    for text in (block().markdown, block([shortlists(GOOD)]).markdown):
        lines = [line for line in text.splitlines() if line.startswith("|")]
        found = [cell.strip() for line in lines for cell in line.strip("|").split("|")]
        assert "" not in found
        assert not [cell for cell in found if "None" in cell or "nan" in cell]


def test_the_plot_names_every_length() -> None:
    figure = tables["7"].plot([view(made())])
    assert figure is not None
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.texts] == ["1", "2", "4", "8"]


def test_cells() -> None:
    cells = tables["7"].cells((3, 4), True)
    assert [cell.seed for cell in cells if cell.kind == "shortlists"] == [3, 4]
    assert Cell("train", "single_stream", 4) in cells
    assert cells[-1] == Cell("shortlist_speed", "two_stage", 3)
