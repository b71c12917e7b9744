"""Each check finds the one thing that was broken, and nothing where nothing was."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bench.checks.records import check_records, read_records
from bench.records import Record
from cookie.config import digest_of
from cookie.presets import PRESETS, preset
from tests.bench.hand_made import (
    accuracy,
    efficiency,
    evaluations,
    load,
    train,
    uniform,
    whole_section,
)
from tests.bench.test_report import stored

RESULTS = Path("results")


def placed(record: Record) -> Path:
    """Return where the record belongs, written out by hand."""
    cell = record.cell
    return (
        RESULTS / record.stamp.dataset / "records" / record.stamp.preset
        / record.hardware["slug"] / f"{cell.system}-seed{cell.seed}-{cell.kind}.json"
    )  # fmt: skip


def found(*records: Record) -> list[tuple[str, str]]:
    at = {placed(record): record for record in records}
    return [(finding.check, finding.problem) for finding in check_records(at, RESULTS)]


def changed(record: Record, **values: Any) -> Record:  # noqa: ANN401
    return dataclasses.replace(record, **values)


def test_sound_records_have_no_findings() -> None:
    assert found(*whole_section()) == []


@pytest.mark.parametrize("name", PRESETS)
def test_the_digest_is_the_configuration_s_own(name: str) -> None:
    config = preset(name)
    assert digest_of(config.to_dict()) == config.digest()


def test_a_setting_changed_by_hand_is_found() -> None:
    made = train("cookie")
    config = {**made.config, "train": {**made.config["train"], "steps": 1}}
    ((check, problem),) = found(changed(made, config=config))
    assert check == "settings"
    assert made.stamp.config_digest in problem


def test_a_course_that_is_not_the_training_s_is_found() -> None:
    made = train("cookie", course=True)
    assert found(made) == []
    ((check, problem),) = found(
        changed(made, values={**made.values, "steps": 500, "best_step": 500})
    )[:1]
    assert check == "history"
    assert "ends at step 600" in problem
    ((check, problem),) = found(changed(made, samples={"log": {"step": [1]}}))
    assert check == "history"
    assert "not as they should be" in problem


def test_regime_and_preset_agree_with_the_settings() -> None:
    ((check, problem),) = found(changed(train("cookie"), regime="frozen"))
    assert check == "settings"
    assert "'frozen'" in problem
    assert "'scratch'" in problem


def test_a_record_in_the_wrong_place_is_found() -> None:
    made = train("cookie")
    at = {placed(made).with_name("dual_stream-seed0-train.json"): made}
    (finding,) = check_records(at, RESULTS)
    assert finding.check == "place"
    assert "cookie-seed0-train.json" in finding.problem


def test_other_data_than_the_rest_is_found() -> None:
    records = [uniform(name, 5) for name in ("cookie", "dual_stream", "single_stream")]
    odd = uniform("two_stage", 5, dataset_sha256="cd" * 32)
    ((check, problem),) = found(*records, odd)
    assert check == "data"
    assert "cdcdcdcdcdcd" in problem


def test_facts_of_other_data_are_found() -> None:
    made = train("cookie")
    facts = {**made.dataset_facts, "name": "scenes", "sha256": "00"}
    assert [check for check, _ in found(changed(made, dataset_facts=facts))] == ["data"]


def test_a_record_among_those_of_another_machine_is_found() -> None:
    made = train("cookie")
    own = changed(made, environment={**made.environment, "slug": made.hardware["slug"]})
    assert found(own) == []
    ((check, problem),) = found(changed(made, environment={**made.environment, "slug": "gpu"}))
    assert check == "machine"
    assert "'gpu'" in problem


@pytest.mark.parametrize("created", ["", "yesterday", "2026-01-01T00:00:00"])
def test_a_time_without_a_zone_is_found(created: str) -> None:
    assert [check for check, _ in found(changed(train("cookie"), created=created))] == ["time"]


def test_a_recall_that_is_not_that_of_its_ranks_is_found() -> None:
    made = accuracy("cookie", [0, 3, 30, 7], [0] * 8)
    metrics = {**made.values["metrics"], "i2t": {"recall": {"1": 25.0, "5": 50.0, "10": 74.0}}}
    ((check, problem),) = found(changed(made, values={**made.values, "metrics": metrics}))
    assert check == "ranks"
    assert "i2t R@10 is 74.0000 and 75.0000" in problem


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("query", [0, 0, 2], "twice"),
        ("image", [0, 1, 40], "image that is not there"),
        ("rank", [0, -1, 2], "rank outside"),
        ("rank", [0, 1, 81], "rank outside a gallery of 80"),
        ("rank", [0, 1], "lacks"),
    ],
)
def test_impossible_answers_are_found(column: str, value: list[int], words: str) -> None:
    made = accuracy("cookie", [0, 1, 2], [0] * 6)
    samples = {**made.samples, "i2t": {**made.samples["i2t"], column: value}}
    ((check, problem),) = found(changed(made, samples=samples))
    assert check == "ranks"
    assert words in problem


def test_turns_that_were_not_of_the_same_rounds_are_found() -> None:
    made = evaluations({"cookie": [1.0, 1.1, 1.2], "single_stream": [900.0, 950.0, 920.0]})
    assert found(made) == []
    made.values["systems"]["cookie"]["repeats"].pop()
    ((check, problem),) = found(made)
    assert (check, problem) == ("turns", "'cookie' was not timed in each of the 3 rounds.")
    made.values["systems"]["cookie"]["repeats"].append(1.3)
    ((check, problem),) = found(made)
    assert (check, problem) == ("turns", "the times of 'cookie' are not the sums of its samples.")
    del made.samples["cookie"]  # type: ignore[attr-defined]
    ((check, problem),) = found(made)
    assert (check, "not as they should be" in problem) == ("turns", True)


def test_missing_values_are_named() -> None:
    made = efficiency("cookie", 1.0)
    values = {name: value for name, value in made.values.items() if name != "memory"}
    ((check, problem),) = found(changed(made, values=values))
    assert (check, problem) == ("schema", "the values have no 'memory'.")


def test_wrong_types_and_unknown_names_are_found() -> None:
    made = train("cookie")
    cell = dataclasses.replace(made.cell, system="bicycle")
    assert found(changed(made, seconds="long"))[0][0] == "schema"
    assert "bicycle" in found(changed(made, cell=cell))[0][1]
    assert "'slug'" in found_slugless(made)


def found_slugless(made: Record) -> str:
    at = {placed(made): changed(made, hardware={"description": "a machine"})}
    return check_records(at, RESULTS)[0].problem


def test_files_that_are_no_records_are_findings(tmp_path: Path) -> None:
    results = stored(tmp_path / "results", [train("cookie"), train("dual_stream")])
    first, second = sorted((results / "scenes" / "records").rglob("*.json"))
    first.write_text("{")
    second.write_text(second.read_text().replace('"schema": 1', '"schema": 7'))
    records, findings = read_records(results)
    assert records == {}
    assert [finding.check for finding in findings] == ["schema", "schema"]
    assert "schema 7" in findings[1].problem


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"rate": 650.0}, "no open loop was run at its highest rate, 650"),
        ({"rate": 704.0}, "p99 at its highest rate, 704, misses the limit"),
        ({"at_least": True}, "known from below alone is not what its loops say"),
    ],
)
def test_a_highest_rate_that_is_not_its_loops_is_found(edit: dict[str, Any], words: str) -> None:
    made = load("cookie", 180.0, 700.0, 640.0)
    assert found(made, load("single_stream", 3.0, None, None)) == []
    opened = {**made.values["open"], **edit}
    ((check, problem),) = found(changed(made, values={**made.values, "open": opened}))
    assert check == "load"
    assert words in problem


def test_an_early_load_record_does_not_say_whether_its_rate_is_a_limit() -> None:
    made = load("cookie", 180.0, 700.0, 640.0)
    opened = {name: value for name, value in made.values["open"].items() if name != "at_least"}
    assert found(changed(made, values={**made.values, "open": opened})) == []
