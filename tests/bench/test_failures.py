"""Failures of cells: kept beside the records, read again, gone with the next success."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.failures import Failure, FailureStore, read_failures, reason_of, without
from bench.records import Cell, Section
from cookie.errors import DataError, UserError

CELL, SECTION = Cell("accuracy", "cookie", 2), Section("tiny", "scratch", "two-core-test", 12)


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    store = FailureStore(tmp_path, "scenes", SECTION)
    store.write(CELL, "first")
    store.write(CELL, "Too little memory.")
    store.write(Cell("growth", "all", 0, 1000), "Too large.")
    assert list(read_failures(tmp_path / "scenes")) == [
        Failure(Cell("growth", "all", 0, 1000), SECTION, "Too large."),
        Failure(CELL, SECTION, "Too little memory."),
    ]


def test_a_failure_is_no_record(tmp_path: Path) -> None:
    FailureStore(tmp_path, "scenes", SECTION).write(CELL, "no")
    assert not (tmp_path / "scenes" / "records").exists()


def test_a_success_leaves_no_trace(tmp_path: Path) -> None:
    store = FailureStore(tmp_path / "results", "scenes", SECTION)
    (tmp_path / "results" / "scenes").mkdir(parents=True)
    store.clear(CELL)
    store.write(CELL, "no")
    other = Cell("train", "cookie", 0)
    store.write(other, "no")
    store.clear(CELL)
    assert [found.cell for found in read_failures(tmp_path / "results" / "scenes")] == [other]
    store.clear(other)
    assert list((tmp_path / "results").rglob("*")) == [tmp_path / "results" / "scenes"]


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("'/home/me/runs/a.json' is broken.", "'.../a.json' is broken."),
        ("'data/a' is not there; see /usr/share/b c.", "'data/a' is not there; see .../b c."),
        ("See https://example.org/a/b, 3/4 of it.", "See https://example.org/a/b, 3/4 of it."),
    ],
)
def test_where_on_this_machine_is_not_kept(reason: str, kept: str, tmp_path: Path) -> None:
    FailureStore(tmp_path, "scenes", SECTION).write(CELL, reason)
    assert next(read_failures(tmp_path / "scenes")).reason == kept


@pytest.mark.parametrize("text", ["", "[]", '{"cell": {}}', '{"cell": {"kind": 1}}'])
def test_a_broken_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "scenes" / "failures" / "tiny" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DataError, match=r"a\.json tells no failed cell"):
        list(read_failures(tmp_path / "scenes"))


def test_reasons_are_sentences_of_one_line() -> None:
    assert reason_of(UserError("No\n such thing: mend it.")) == "No such thing: mend it."
    assert reason_of(DataError("broken")) == "broken"
    cuda = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has")
    assert reason_of(cuda) == "It did not fit into the memory (CUDA out of memory)."
    assert reason_of(MemoryError()) == "It did not fit into the memory (MemoryError)."
    assert without(CELL) == "It needs 'accuracy cookie seed 2', which has no result."


def test_an_error_of_the_program_has_no_reason() -> None:
    assert reason_of(RuntimeError("shape mismatch")) is None
    assert reason_of(ValueError("out of memory")) is None
