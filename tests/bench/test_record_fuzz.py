"""Records that someone changed: whatever stands in them, there is a result or a clear error."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.checks.records import check_records, read_records
from bench.records import parse, read
from bench.report import render_all, render_dataset
from bench.validate import validate
from cookie.errors import DataError, UserError
from tests.bench.hand_made import (
    evaluations,
    growth,
    shortlist_speed,
    shortlists,
    train,
    whole_section,
)
from tests.bench.test_report import stored

FULL = os.environ.get("COOKIE_BENCH") == "full"
JUNK: list[Any] = [
    *(None, True, 0, -1, 1.5, 10**30, -1e308, "", "x", "1", "\x00", "ü\n|<b>", [], {}, [None]),
    *([1, 2], {"1": None}, {"rank": []}, [[]], {"median": "x"}, [{}]),
]
SPEEDS = {"dual_stream": 0.002, "cookie": 0.003, "single_stream": 1.3}
LENGTHS = {"1": 4, "8": 20, "alone": 26, "whole": 28}
RECORDS = [
    *whole_section(),
    train("cookie", seed=1, course=True),
    growth(1_000, SPEEDS),
    growth(10_000, {name: 10 * p50 for name, p50 in SPEEDS.items()}),
    shortlists(LENGTHS),
    shortlist_speed(dict.fromkeys(LENGTHS, 0.01)),
    evaluations({"cookie": [1.0, 1.1] * 3, "single_stream": [900.0, 1000.0] * 3}),
]


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """Return the paths to all values; of a long list the first two and the last alone."""
    found = [path] if path else []
    if isinstance(content, dict):
        pairs = list(content.items())
    elif isinstance(content, list):
        pairs = [(n, content[n]) for n in sorted({0, 1, len(content) - 1}) if 0 <= n < len(content)]
    else:
        pairs = []
    return found + [p for key, value in pairs for p in places(value, (*path, key))]


def changed(content: Any, seed: int) -> Any:  # noqa: ANN401 -- whatever JSON can hold
    """Return ``content`` with a few of its values replaced, renamed, or taken away."""
    draw, made = random.Random(seed), copy.deepcopy(content)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        *way, last = draw.choice(places(made))
        holder = made
        for step in way:
            holder = holder[step]
        kind = draw.choice(["junk", "junk", "gone", "renamed"])
        if kind == "junk":
            holder[last] = copy.deepcopy(draw.choice(JUNK))
        elif kind == "gone" or isinstance(holder, list):
            del holder[last]
        else:
            holder[f"{last}?"] = holder.pop(last)
        if not places(made):
            break
    return made


def refusal(run: Callable[[], object]) -> str | None:
    """Return the error that a user would see, or None; any other error passes."""
    try:
        run()
    except UserError as error:
        return str(error)
    return None


def clean(error: str | None) -> bool:
    """Whether there was no error, or one that is said on one line."""
    return error is None or bool(error.strip() and "\n" not in error)


TEXTS = [made.to_json() for made in RECORDS]


@settings(max_examples=3000 if FULL else 300, deadline=None)
@given(st.sampled_from(TEXTS), st.integers(0, 2**32))
def test_a_changed_record_is_read_or_refused(text: str, seed: int) -> None:
    content = json.dumps(changed(json.loads(text), seed))
    error = refusal(lambda: parse(content, "somewhere"))
    assert clean(error)
    if error is not None:
        assert error.startswith("somewhere ")
        return
    record = parse(content, "somewhere")
    assert parse(record.to_json(), "again") == record
    assert record.section.folder.name
    assert record.cell.filename


@settings(max_examples=2000 if FULL else 200, deadline=None)
@given(st.sampled_from(TEXTS), st.integers(0, 2**32), st.integers(0, 255))
def test_damaged_bytes_are_read_or_refused(text: str, seed: int, byte: int) -> None:
    damaged = bytearray(text.encode())
    place = seed % len(damaged)
    damaged[place] = byte
    for content in (bytes(damaged), text.encode()[:place]):
        read_as = content.decode(errors="replace")
        assert clean(refusal(lambda read_as=read_as: parse(read_as, "somewhere")))


@pytest.mark.parametrize("text", ['{"schema": NaN}', "[" * 100_000, '{"a":' * 100_000, "1" * 9_999])
def test_what_trips_parsers_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is not a record"):
        parse(text, "somewhere")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(word: str) -> None:
    text = RECORDS[0].to_json().replace('"seconds": 1.5', f'"seconds": {word}')
    with pytest.raises(DataError, match=f"{word} is no number"):
        parse(text, "somewhere")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of sound records, to be changed and mended."""
    return stored(tmp_path_factory.mktemp("fuzz") / "results", RECORDS)


def damage(results: Path, seed: int) -> tuple[Path, str]:
    """Change one record below ``results``; return it with what it held."""
    paths = sorted(results.glob("*/records/**/*.json"))
    assert len(paths) == len(RECORDS)
    path = random.Random(seed).choice(paths)
    before = path.read_text()
    path.write_text(json.dumps(changed(json.loads(before), seed)))
    return path, before


@settings(
    max_examples=2000 if FULL else 100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
def test_changed_records_are_checked_without_a_hitch(results: Path, seed: int) -> None:
    path, before = damage(results, seed)
    try:
        records, unreadable = read_records(results)
        findings = unreadable + check_records(records, results)
    finally:
        path.write_text(before)
    assert len(records) + len(unreadable) == len(RECORDS)
    assert all("\n" not in str(finding) for finding in findings)


@pytest.mark.usefixtures("undrawn")
@settings(
    max_examples=1000 if FULL else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
def test_tables_of_changed_records_are_made_or_refused(results: Path, seed: int) -> None:
    path, before = damage(results, seed)
    try:
        assert clean(refusal(lambda: render_dataset(results / "scenes")))
    finally:
        path.write_text(before)


@pytest.mark.usefixtures("undrawn")
def test_a_value_of_another_shape_is_a_finding_and_one_sentence(tmp_path: Path) -> None:
    folder = stored(tmp_path / "results", RECORDS)
    render_all(folder)
    assert not validate(folder).findings
    path = next(folder.rglob("cookie-seed0-efficiency.json"))
    content = json.loads(path.read_text())
    content["values"]["full_evaluation"] = 7
    path.write_text(json.dumps(content))
    assert read(path).values["full_evaluation"] == 7
    with pytest.raises(DataError, match=r"Table 1|Table 2 of scenes cannot be made") as caught:
        render_all(folder)
    assert clean(str(caught.value))
    (finding,) = [found for found in validate(folder).findings if found.check == "values"]
    assert "cannot be made of its records (TypeError" in finding.problem
    assert str(tmp_path.parent) in finding.path
