"""The command: exit codes, one line a finding, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.validate import validate
from cookie.errors import UserError
from tests.bench.hand_made import whole_section


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bench.validate", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_clean_results(rendered: Path) -> None:
    done = command(str(rendered))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("no findings")
    assert f"{len(whole_section())} records" in done.stdout


def test_one_line_a_finding(rendered: Path) -> None:
    (rendered / "scenes" / "table_1.md").write_text("[gone](gone.md)")
    done = command(str(rendered))
    assert done.returncode == 1
    stale, link, total = done.stdout.splitlines()
    assert stale.startswith(str(rendered / "scenes" / "table_1.md: stale: table 1"))
    assert "link: 'gone.md'" in link
    assert total.endswith(": 2 findings")


def test_findings_as_json(rendered: Path) -> None:
    (rendered / "scenes" / "table_1.md").unlink()
    done = command(str(rendered), "--json")
    assert done.returncode == 1
    content = json.loads(done.stdout)
    assert content["records"] == len(whole_section())
    assert {finding["check"] for finding in content["findings"]} == {"stale", "link"}


def test_an_unreadable_record_is_a_finding_and_nothing_is_rendered(rendered: Path) -> None:
    broken = next((rendered / "scenes" / "records").rglob("cookie*train.json"))
    broken.write_text("{")
    (finding,) = validate(rendered).findings
    assert finding.check == "schema"
    assert finding.path == str(broken)


def test_nothing_to_check_is_bad_input(tmp_path: Path) -> None:
    for folder, words in ((tmp_path / "gone", "no folder"), (tmp_path, "no records")):
        with pytest.raises(UserError, match=words):
            validate(folder)
    done = command(str(tmp_path / "gone"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
