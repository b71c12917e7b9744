"""Only records made here count as finished, and a store keeps them whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench.records import (
    Cell,
    Record,
    Stamp,
    parse,
    read,
    read_all,
    write_text,
)
from bench.running.record_store import Ledger, RecordStore
from cookie.errors import DataError
from tests.bench.hand_made import train, uniform


def store_at(folder: Path, made: Record, ledger: str = "ledger") -> RecordStore:
    return RecordStore(folder / "results", "scenes", made.section, Ledger(folder / ledger))


def test_record_survives_the_disk(tmp_path: Path) -> None:
    made = uniform("cookie", 7)
    path = store_at(tmp_path, made).write(made)
    assert read(path) == parse(made.to_json(), "memory")
    assert read(path).to_json() == made.to_json()
    assert list(read_all(tmp_path / "results" / "scenes")) == [read(path)]


def test_path_names_preset_hardware_system_seed_and_kind(tmp_path: Path) -> None:
    made = train("cookie", seed=3)
    path = store_at(tmp_path, made).write(made)
    relative = path.relative_to(tmp_path / "results").as_posix()
    assert relative == "scenes/records/tiny/two-core-test/cookie-seed3-train.json"


def test_written_here_is_finished(tmp_path: Path) -> None:
    made = train("cookie")
    store = store_at(tmp_path, made)
    assert store.finished(made.cell, made.stamp) is None
    store.write(made)
    found = store.finished(made.cell, made.stamp)
    assert found is not None
    assert found.values == made.values


def test_a_record_of_another_checkout_is_not_finished(tmp_path: Path) -> None:
    made = train("cookie")
    store_at(tmp_path, made, "their-ledger").write(made)
    mine = store_at(tmp_path, made, "my-ledger")
    assert mine.path(made.cell).exists()
    assert mine.finished(made.cell, made.stamp) is None


def test_an_edited_record_is_not_finished(tmp_path: Path) -> None:
    made = train("cookie")
    store = store_at(tmp_path, made)
    path = store.write(made)
    path.write_text(path.read_text().replace('"steps": 600', '"steps": 601'))
    assert store.finished(made.cell, made.stamp) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"dataset_sha256": "cd" * 32},
        {"config_digest": "0" * 12},
        {"protocol": {"limit": None, "more": 1}},
        {"preset": "small"},
        {"dataset": "flickr8k"},
    ],
)
def test_every_field_of_the_stamp_counts(tmp_path: Path, changed: dict[str, object]) -> None:
    made = train("cookie")
    store = store_at(tmp_path, made)
    store.write(made)
    asked: Stamp = dataclasses.replace(made.stamp, **changed)  # type: ignore[arg-type]
    assert store.finished(made.cell, asked) is None


def test_a_record_in_the_wrong_place_is_not_finished(tmp_path: Path) -> None:
    made = train("cookie")
    store = store_at(tmp_path, made)
    text = store.write(made).read_text()
    other = Cell("train", "dual_stream", 0)
    write_text(store.path(other), text)
    assert store.finished(other, made.stamp) is None


def test_a_record_of_an_earlier_schema_is_run_again(tmp_path: Path) -> None:
    made = dataclasses.replace(train("cookie"), schema=0)
    store = store_at(tmp_path, made)
    path = store.write(made)
    assert store.finished(made.cell, made.stamp) is None
    with pytest.raises(DataError, match=r"schema 0.*--force"):
        read(path)
