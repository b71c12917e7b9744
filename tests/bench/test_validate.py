"""The command: exit codes, one line a finding, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.report import render_all
from bench.validate import validate
from cookie.errors import UserError
from tests.bench.hand_made import whole_section
from tests.bench.test_report import stored


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bench.validate", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = stored(tmp_path / "results", whole_section())
    render_all(folder)
    return folder


def test_clean_results(results: Path) -> None:
    done = command(str(results))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("no findings")
    assert f"{len(whole_section())} records" in done.stdout


def test_one_line_a_finding(results: Path) -> None:
    (results / "scenes" / "table_1.md").write_text("[gone](gone.md)")
    done = command(str(results))
    assert done.returncode == 1
    stale, link, total = done.stdout.splitlines()
    assert stale.startswith(str(results / "scenes" / "table_1.md: stale: table 1"))
    assert "link: 'gone.md'" in link
    assert total.endswith(": 2 findings")


def test_findings_as_json(results: Path) -> None:
    (results / "scenes" / "table_1.md").unlink()
    done = command(str(results), "--json")
    assert done.returncode == 1
    content = json.loads(done.stdout)
    assert content["records"] == len(whole_section())
    assert {finding["check"] for finding in content["findings"]} == {"stale", "link"}


def test_an_unreadable_record_is_a_finding_and_nothing_is_rendered(results: Path) -> None:
    broken = next((results / "scenes" / "records").rglob("cookie*train.json"))
    broken.write_text("{")
    (finding,) = validate(results).findings
    assert finding.check == "schema"
    assert finding.path == str(broken)


def test_nothing_to_check_is_bad_input(tmp_path: Path) -> None:
    for folder, words in ((tmp_path / "gone", "no folder"), (tmp_path, "no records")):
        with pytest.raises(UserError, match=words):
            validate(folder)
    done = command(str(tmp_path / "gone"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
