"""What is read of a benchmark file, and that anything else is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.pages.benchmark_file import Ratio, read_benchmarks
from cookie.errors import DataError
from tests.bench.benchmark_files import MACHINE, entry, ratio, state, stored, times


def test_everything_is_read(tmp_path: Path) -> None:
    made = entry(
        "bench/test_train_step.py::test_step[cpu-64]",
        request=times(0.03, 50),
        kernel=times(0.01),
        ratios=[ratio("faiss", 0.5, 0.4), ratio("torch", 2.0)],
        share_of_matmul_peak=0.25,
        state_before=state(0.1),
        state_after=state(3.0, ["hardware thermal"]),
        gallery=256,
    )
    (found,) = read_benchmarks(stored(tmp_path, made)).benchmarks
    assert (found.group, found.name, found.device) == ("train step", "step[cpu-64]", "cpu")
    assert (found.samples, found.items, found.rate, found.first) == (50, 8, 400.0, 0.5)
    assert found.percentiles == {"p50": 0.03, "p90": 0.06, "p95": None, "p99": None}
    assert found.interval == pytest.approx((0.027, 0.033))
    assert (found.kernel, found.share, found.remarks) == (0.01, 0.25, {"gallery": 256})
    assert found.ratios == [Ratio("faiss", 0.5, (0.4, 0.6), 12), Ratio("torch", 2.0, None, 3)]
    assert [one["load"] for one in found.states] == [0.1, 3.0]
    assert found.states[1]["throttled"] == ["hardware thermal"]


def test_a_group_that_is_named_wins_over_the_file(tmp_path: Path) -> None:
    made = entry("bench/test_pairs.py::test_pairs", group="pair scoring")
    assert read_benchmarks(stored(tmp_path, made)).benchmarks[0].group == "pair scoring"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        '{"benchmarks": [], "machine_info": {"node": "somewhere"}}',
        '{"benchmarks": [{"extra_info": {}}], "machine_info": {}}',
        '{"benchmarks": {"a": 1}}',
        "[" * 100_000,
    ],
)
def test_foreign_content_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"other.json' was not written by this suite") as caught:
        read_benchmarks(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "notes",
    [
        {"request": None},
        {"request": {"n": 3}},
        {"items_per_second": "many"},
        {"items_per_second": float("nan")},
        {"ratios": [{"denominator": "x"}]},
        {"state_before": None},
        {"kernel": {}},
        {"first_seconds": None},
    ],
)
def test_a_changed_note_is_refused(tmp_path: Path, notes: dict[str, Any]) -> None:
    path = stored(tmp_path, entry("bench/test_a.py::test_a", **notes))
    with pytest.raises(DataError, match="was not written by this suite"):
        read_benchmarks(path)


@pytest.mark.parametrize("missing", ["cpu", "cores", "packages", "commit"])
def test_the_machine_has_to_be_described(tmp_path: Path, missing: str) -> None:
    machine = {key: value for key, value in MACHINE.items() if key != missing}
    path = stored(tmp_path, entry("bench/test_a.py::test_a"), machine_info=machine)
    with pytest.raises(DataError, match="was not written by this suite"):
        read_benchmarks(path)


def test_binary_missing_and_empty_files(tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="was not written"):
        read_benchmarks(tmp_path / "binary.json")
    with pytest.raises(DataError, match=r"Cannot read '.*none.json': No such file"):
        read_benchmarks(tmp_path / "none.json")
    with pytest.raises(DataError, match="Cannot read"):
        read_benchmarks(tmp_path)
    with pytest.raises(DataError, match="holds no benchmark"):
        read_benchmarks(stored(tmp_path))


def test_what_pytest_benchmark_writes_without_this_suite_is_foreign(tmp_path: Path) -> None:
    made = entry("bench/test_a.py::test_a")
    made["extra_info"] = {}
    path = stored(tmp_path, made)
    assert json.loads(path.read_text())["benchmarks"][0]["stats"]
    with pytest.raises(DataError, match="was not written"):
        read_benchmarks(path)
