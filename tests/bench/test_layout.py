"""Numbers, footnotes, markdown and CSV."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.layout import (
    AtLeast,
    Column,
    Footnotes,
    Marked,
    Missing,
    bounded,
    counted,
    csv_text,
    duration,
    fixed,
    markdown_table,
    mebibytes,
    scaled,
    significant,
)

COLUMNS = (Column("name", "system"), Column("value", "RSUM", fixed(1)))


def test_missing_is_na_with_its_reason_once() -> None:
    footnotes = Footnotes()
    rows = [
        {"name": "a", "value": Missing("no GPU")},
        {"name": "b", "value": Missing("no GPU")},
        {"name": "c", "value": 12.345},
        {"name": "d", "value": Missing("too slow")},
    ]
    table = markdown_table(COLUMNS, rows, footnotes)
    assert [line.split("|")[2].strip() for line in table.splitlines()[2:]] == [
        "n/a [a]",
        "n/a [a]",
        "12.3",
        "n/a [b]",
    ]
    assert footnotes.lines() == ["- [a] no GPU", "- [b] too slow"]


def test_a_reason_needs_a_place() -> None:
    with pytest.raises(ValueError, match="footnote"):
        markdown_table(COLUMNS, [{"name": "a", "value": Missing("no GPU")}])


def test_a_remark_stands_beside_the_value() -> None:
    footnotes = Footnotes()
    row = {"name": Marked("a", "a note"), "value": Marked(1.0, "extrapolated")}
    line = markdown_table(COLUMNS, [row], footnotes).splitlines()[2]
    assert [part.strip() for part in line.split("|")[1:3]] == ["a [a]", "1.0 [b]"]


def test_a_marked_missing_value_keeps_both_marks() -> None:
    footnotes = Footnotes()
    row = {"name": "a", "value": Marked(Missing("no GPU"), "note")}
    line = markdown_table(COLUMNS, [row], footnotes).splitlines()[2]
    assert "n/a [b] [a]" in line or "n/a [a] [b]" in line


def test_footnotes_go_on_after_z() -> None:
    footnotes = Footnotes()
    marks = [footnotes.mark(str(number)) for number in range(54)]
    assert marks[25:28] == ["[z]", "[aa]", "[ab]"]
    assert marks[51:] == ["[az]", "[ba]", "[bb]"]
    assert len(set(marks)) == len(marks)


def test_headings_with_digits_stay_text() -> None:
    table = markdown_table((Column("name", "1e5"),), [{"name": "1e5"}])
    assert "100000" not in table


def test_csv_keeps_full_precision_and_remarks() -> None:
    rows = [
        {"name": "a, b", "value": Marked(1 / 3, "part")},
        {"name": "c", "value": Missing("no")},
    ]
    found = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert float(found[0]["value"]) == 1 / 3
    assert found[0]["value_remark"] == "part"
    assert (found[0]["name"], found[1]["value"], found[1]["value_remark"]) == ("a, b", "n/a", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9997, "1 s"),
        (2e-6, "2 µs"),
        (0.0123, "12.3 ms"),
        (1.0, "1 s"),
        (59.94, "59.9 s"),
        (599.0, "599 s"),
        (601.0, "10.0 min"),
        (7200.0, "2.0 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0000"), (0.01234, "0.0123"), (3.0, "3.00"), (12.34, "12.3"), (1234.5, "1,234")],
)
def test_significant(value: float, text: str) -> None:
    assert significant(value) == text


def test_what_is_known_from_below_says_so_and_stays_a_number() -> None:
    assert (bounded(1234.5), bounded(AtLeast(1234.5))) == ("1,234", "≥ 1,234")
    assert csv_text([{"rate": Marked(AtLeast(1.5), "no more tried")}]) == (
        "rate_remark,rate\nno more tried,1.5\n"
    )


@given(st.floats(1e-12, 1e12))
def test_significant_is_near(value: float) -> None:
    assert float(significant(value).replace(",", "")) == pytest.approx(value, rel=0.05, abs=5e-5)


def test_units() -> None:
    assert scaled(2.5e9, "FLOP") == "2.5 GFLOP"
    assert scaled(999, "FLOP") == "999 FLOP"
    assert mebibytes(300 * 2**20) == "300"


def test_one_is_singular() -> None:
    assert [counted(n, "pair") for n in (1, 2, 29_995)] == ["1 pair", "2 pairs", "29,995 pairs"]
