"""Records survive as text unchanged, and what is none is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records import (
    Cell,
    Section,
    parse,
    read,
    read_all,
    slug,
    write_text,
)
from cookie.errors import DataError
from tests.bench.hand_made import record, train, uniform


def test_a_limited_run_has_a_folder_of_its_own() -> None:
    made = record("train", "cookie", {}, protocol={"limit": 50})
    assert made.section.folder == Path("tiny-first-50/two-core-test")
    assert made.section != train("cookie").section


def test_equal_content_gives_equal_text() -> None:
    values = {"b": 1, "a": {"z": 1, "y": [1, 2]}}
    same = {"a": {"y": [1, 2], "z": 1}, "b": 1}
    assert record("train", "x", values).to_json() == record("train", "x", same).to_json()


def test_nan_never_enters_a_record() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        record("train", "cookie", {"loss": float("nan")}).to_json()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}', "null", "\x00"])
def test_what_is_no_record_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scenes" / "records" / "broken.json"
    write_text(path, text)
    with pytest.raises(DataError, match=r"broken\.json"):
        list(read_all(tmp_path / "scenes"))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a text file"):
        read(path)


@given(st.text())
def test_any_text_gives_a_record_or_a_data_error(text: str) -> None:
    with pytest.raises(DataError):
        parse(text, "somewhere")


@pytest.mark.parametrize(
    "change", [{"schema": "2\n<b>"}, {"cell": {"a\nb": 1}}, {"other\nfield": 0}]
)
def test_a_refusal_is_one_line_whatever_the_file_says(change: dict[str, object]) -> None:
    content = json.loads(uniform("cookie", 3).to_json()) | change
    with pytest.raises(DataError, match="somewhere") as caught:
        parse(json.dumps(content), "somewhere")
    assert "\n" not in str(caught.value)


@given(st.dictionaries(st.sampled_from(["schema", "cell", "stamp", "values"]), st.integers()))
def test_any_object_gives_a_data_error(fields: dict[str, int]) -> None:
    with pytest.raises(DataError):
        parse(json.dumps(fields), "somewhere")


def test_writing_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("AMD EPYC (2 cores)", "amd-epyc-2-cores"), ("--x--", "x"), ("H100 80GB", "h100-80gb")],
)
def test_slug(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_section_is_hashable_and_ordered_by_value() -> None:
    assert Section("tiny", "scratch", "a") == Section("tiny", "scratch", "a", None)
    assert len({Section("tiny", "scratch", "a"), Section("tiny", "scratch", "a", 5)}) == 2


def test_a_cell_with_a_gallery_has_a_file_of_its_own() -> None:
    sizes = [Cell("growth", "all", 0, size) for size in (1_000, 10_000)]
    assert [cell.filename for cell in sizes] == [
        "all-seed0-growth-1000.json",
        "all-seed0-growth-10000.json",
    ]
    assert str(sizes[1]) == "growth all seed 0 at 10,000"
    assert sorted([*reversed(sizes)]) == sizes
    assert Cell("latency", "all", 0).filename == "all-seed0-latency.json"


def test_records_made_before_cells_had_a_gallery_are_read() -> None:
    fields = json.loads(record("train", "cookie", {}).to_json())
    del fields["cell"]["gallery"]
    assert parse(json.dumps(fields), "old").cell == Cell("train", "cookie", 0)
