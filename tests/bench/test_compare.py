"""The command: text, JSON, and one sentence where nothing can be compared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.compare import compare, text
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
