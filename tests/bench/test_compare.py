"""The command: text, JSON, and one sentence where nothing can be compared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.compare import compare, text
from cookie.errors import DataError
from tests.bench.findings.test_matching import file_of
from tests.bench.hand_made import train, uniform, whole_section
from tests.bench.test_report import stored


def command(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bench.compare", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def two_systems(folder: Path) -> list[Path]:
    counts = {"dual_stream": 9, "cookie": 29}
    return [file_of(folder, uniform(name, count)) for name, count in counts.items()]


def test_two_systems_as_text(tmp_path: Path) -> None:
    paths = [
        file_of(tmp_path, uniform(name, n)) for name, n in (("dual_stream", 9), ("cookie", 29))
    ]
    shown = text(compare(*paths))
    row = next(line for line in shown.splitlines() if line.startswith("RSUM"))
    assert row.split()[:4] == ["RSUM", "135.0", "435.0", "+300.0"]
    assert "(95 % interval)" in row
    assert row.endswith("40 + 80 queries")
    assert shown.endswith("what differs (A -> B):\n  system: dual_stream -> cookie")


def test_a_folder_against_itself(tmp_path: Path) -> None:
    folder = stored(tmp_path / "results", whole_section())
    found = compare(folder, folder)
    assert len(found) == len(whole_section())
    assert all(not comparison.changes for comparison in found)
    changed = [row for comparison in found for row in comparison.rows if row.form == "difference"]
    assert {row.change for row in changed} == {0.0}
    assert text(found).endswith("settings and machine are the same")


def spoil(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def ranks_as_words(fields: dict[str, Any]) -> None:
    table = fields["samples"]["i2t"]
    table["rank"] = [str(rank) for rank in table["rank"]]


def ranks_cut_off(fields: dict[str, Any]) -> None:
    del fields["samples"]["t2i"]["rank"][40:]


def no_samples(fields: dict[str, Any]) -> None:
    fields["samples"] = {}


@pytest.mark.parametrize("change", [ranks_as_words, ranks_cut_off, no_samples])
@pytest.mark.parametrize("side", ["A", "B"])
def test_a_record_whose_answers_are_not_as_they_should_be_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], side: str
) -> None:
    paths = two_systems(tmp_path)
    spoil(paths["AB".index(side)], change)
    system = {"A": "dual_stream", "B": "cookie"}[side]
    told = rf"^{side}'s record of accuracy {system} seed 0 is not as it should be \("
    with pytest.raises(DataError, match=told):
        compare(*paths)


def test_times_that_are_words_are_named(tmp_path: Path) -> None:
    folder = stored(tmp_path / "results", whole_section())
    path = next(folder.rglob("cookie-seed0-efficiency.json"))
    spoil(path, lambda fields: fields["values"]["full_evaluation"].update(seconds="long"))
    with pytest.raises(DataError, match="A's record of efficiency cookie seed 0 is not as it"):
        compare(folder, folder)


def test_as_json(tmp_path: Path) -> None:
    paths = [
        file_of(tmp_path, uniform(name, n)) for name, n in (("dual_stream", 9), ("cookie", 29))
    ]
    done = command(*paths, "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["measures"][0]["measure"] == "RSUM"
    assert found["measures"][0]["n"] == "40 + 80 queries"
    assert found["changes"] == [{"key": "system", "first": "dual_stream", "second": "cookie"}]
    assert found["seeds"] == [[0], [0]]


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    one, two = file_of(tmp_path, uniform("cookie", 3)), file_of(tmp_path, train("cookie"))
    (tmp_path / "broken.json").write_text("{")
    for sides in ((one, two), (one, tmp_path / "gone"), (one, tmp_path / "broken.json")):
        done = command(*sides)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
