"""What a record keeps of a journal: every column, the ends, the best, and nothing of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.findings.histories import Columns, history_of, kept, problems, samples_of, stored_samples
from cookie.training.journal import Journal
from tests.bench.hand_made import samples, train

VALUES = {"steps": 600, "best_step": 500, "best_validation": 500}


def journal(folder: Path, lines: Sequence[tuple[int, Mapping[str, float]]]) -> Path:
    with Journal(folder, 0) as written:
        for step, values in lines:
            written.write(step, values)
    return written.path


def course(steps: int) -> list[tuple[int, Mapping[str, float]]]:
    speed = {"samples_per_second": 9.0, "wait_share": 0.1, "gpu_busy": 0.9}
    logs = [
        (s, {"loss": 1 / s, "image_text": 2 / s, "rate_0": 0.1, **speed}) for s in steps_of(steps)
    ]
    scores = [(s, {"validation": float(-abs(s - 30))}) for s in range(10, steps + 1, 10)]
    return sorted([*logs, *scores], key=lambda line: (line[0], "validation" in line[1]))


def steps_of(steps: int) -> range:
    return range(1, steps + 1)


def test_a_short_journal_is_kept_whole_by_column(tmp_path: Path) -> None:
    found = samples_of(journal(tmp_path, course(40)))
    assert list(found["log"]) == ["step", "loss", "image_text", "rate_0"]
    assert found["log"]["step"] == list(steps_of(40))
    assert found["log"]["image_text"] == [2 / step for step in steps_of(40)]
    assert found["validation"] == {"step": [10, 20, 30, 40], "score": [-20, -10, 0, -10]}


def test_of_a_long_one_some_lines_are_kept_as_they_were(tmp_path: Path) -> None:
    path = journal(tmp_path, course(1000))
    found = samples_of(path, points=20)
    whole = {line["step"]: line for line in map(json.loads, path.read_text().splitlines()[::-1])}
    for name in ("log", "validation"):
        steps = found[name]["step"]
        assert 15 < len(steps) <= 20
        assert steps[-1] == 1000
        assert steps == sorted(set(steps))
    assert 30 in found["validation"]["step"], "the best one stays"
    for step, loss in zip(found["log"]["step"], found["log"]["loss"], strict=True):
        assert loss == 1 / step
    assert set(found["log"]["step"]) <= set(whole)


@given(st.integers(0, 3000), st.integers(3, 300), st.data())
def test_what_is_kept_has_both_ends_and_what_was_asked(
    count: int, points: int, data: st.DataObject
) -> None:
    always = data.draw(st.integers(0, max(0, count - 1)))
    found = kept(count, points, always)
    assert len(found) <= points
    assert found == sorted(set(found))
    if count:
        assert {0, count - 1, always} <= set(found)
        gaps = [later - earlier for earlier, later in pairwise(found)]
        assert max(gaps, default=1) <= -(-count // max(1, points - 2)) + 1
    if count <= points:
        assert found == list(range(count))


def test_a_part_that_some_lines_lack_is_left_out(tmp_path: Path) -> None:
    lines = [(1, {"loss": 1.0, "extra": 2.0}), (2, {"loss": 1.0}), (2, {"validation": 3.0})]
    assert list(samples_of(journal(tmp_path, lines))["log"]) == ["step", "loss"]


def test_a_journal_is_stored_if_it_leads_to_the_values(tmp_path: Path) -> None:
    path = journal(tmp_path, course(40))
    values = {"steps": 40, "best_step": 30, "best_validation": 0.0}
    assert stored_samples(path, values) == samples_of(path)
    for other in ({"steps": 50}, {"best_step": 20}, {"best_validation": 1.0}):
        assert stored_samples(path, values | other) is None
    assert stored_samples(tmp_path / "nothing", values) is None
    assert stored_samples(path, {}) is None
    path.write_text(path.read_text()[:-40])
    assert stored_samples(path, values) is None, "its end was cut off"


@pytest.mark.parametrize("text", ["", "{}", "[]\n", '{"step": 1}\n', '{"loss": 1}\n', "\x00"])
def test_what_is_no_journal_is_not_stored(text: str, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(text)
    assert stored_samples(path, VALUES) is None


def test_hand_made_samples_are_sound() -> None:
    assert problems(samples(), VALUES) == []


def changed(part: str, column: str, values: list[float]) -> dict[str, Columns]:
    found = samples()
    return found | {part: found[part] | {column: values}}


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (changed("log", "loss", [1.0]), "lacks"),
        (changed("validation", "step", []), "lacks"),
        ({"log": {"step": []}, "validation": {"step": []}}, "lacks"),
        (changed("log", "step", [*range(0, 550, 50), 0]), "do not go up"),
        (changed("log", "step", list(range(0, 600, 50))), "ends at step 550"),
        (changed("validation", "score", [0, 0, 0, 0, 0, 1]), "not best at step 500"),
    ],
)
def test_what_is_not_sound_is_said(found: dict[str, Columns], word: str) -> None:
    assert any(word in problem for problem in problems(found, VALUES))


def test_a_record_without_a_course_has_no_history() -> None:
    assert history_of(train("cookie")) is None
    found = history_of(train("cookie", course=True))
    assert found is not None
    assert found.best_step == 500
    assert len(found.steps) == len(found.losses) == 12
    assert max(found.scores) == found.scores[list(found.validation_steps).index(500)]
