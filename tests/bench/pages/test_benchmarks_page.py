"""The page of benchmarks: from hand-made files, and from a run of a real benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.pages.benchmarks_page import render_benchmarks
from tests.bench.benchmark_files import MACHINE, entry, ratio, state, stored, times

ROOT = Path(__file__).parents[3]


def rendered(folder: Path, *entries: dict[str, Any], **changes: Any) -> str:  # noqa: ANN401
    return render_benchmarks(stored(folder, *entries, **changes)).read_text()


def cells(page: str, benchmark: str, turn: int = 0) -> dict[str, str]:
    """Return heading -> cell of the ``turn``-th row of ``benchmark``."""
    lines = page.splitlines()
    row = [n for n, line in enumerate(lines) if line.startswith(f"| {benchmark} ")][turn]
    head = max(n for n in range(row) if lines[n].startswith("| benchmark"))
    return dict(zip(*(_split(lines[n]) for n in (head, row)), strict=True))


def _split(line: str) -> list[str]:
    return [cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")]


def test_a_row_holds_times_rate_and_state(tmp_path: Path) -> None:
    made = entry(
        "bench/test_query.py::test_one[cpu]",
        request=times(0.02, 100),
        share_of_matmul_peak=0.42,
        state_after=state(1.25),
        gallery=256,
    )
    assert cells(rendered(tmp_path, made), "one[cpu]") == {
        "benchmark": "one[cpu]",
        "device": "cpu",
        "n": "100",
        "median": "20 ms",
        "its 95 % interval": "18 ms to 22 ms",
        "p90": "40 ms",
        "p95": "60 ms",
        "first call": "500 ms",
        "items/s": "400",
        "share of peak": "42 %",
        "load before, after": "0.5, 1.2",
        "noted": "gallery 256",
    }


def test_a_percentile_that_is_not_there_has_a_reason(tmp_path: Path) -> None:
    page = rendered(
        tmp_path,
        entry("bench/test_query.py::test_many", request=times(0.02, 500)),
        entry("bench/test_query.py::test_few", request=times(0.02, 5) | {"median_interval": None}),
    )
    assert cells(page, "many")["p99"] == "80 ms"
    assert cells(page, "few")["p99"].startswith("n/a [")
    assert "p99 needs 459 samples." in page
    assert "An interval needs 6 samples." in page


def test_each_group_has_a_table_of_its_own(tmp_path: Path) -> None:
    names = ("encode", "train_step", "losses", "encode")
    made = [entry(f"bench/test_{file}.py::test_case{n}") for n, file in enumerate(names)]
    page = rendered(tmp_path, *made)
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["## Machine", "## Encode", "## Train step", "## Losses"]
    encode = page.partition("## Encode")[2].partition("## Train step")[0]
    assert "case0" in encode
    assert "case3" in encode


def test_ratios_show_their_spread(tmp_path: Path) -> None:
    made = entry(
        "bench/test_losses.py::test_loss", ratios=[ratio("lib", 0.5, 0.4), ratio("few", 2.0)]
    )
    page = rendered(tmp_path, made)
    assert cells(page, "loss", 1) == {
        "benchmark": "loss",
        "in turns with": "lib",
        "times as long": "0.50",
        "95 % interval": "0.40 to 0.60",
        "rounds": "12",
    }
    assert cells(page, "loss", 2)["95 % interval"].startswith("n/a [")
    assert "An interval needs 6 rounds." in page


def test_a_group_without_rivals_has_no_table_of_ratios(tmp_path: Path) -> None:
    assert "in turns with" not in rendered(tmp_path, entry("bench/test_data.py::test_a"))


def test_the_machine_and_its_state(tmp_path: Path) -> None:
    quiet = rendered(tmp_path, entry("bench/test_a.py::test_a", state_before=state(1.5)))
    for fact in (
        "2 cores of Test CPU, 8.0 GiB",
        "torch 2.15.0, 2 torch threads",
        "`0123456789ab` with local changes",
        "1-minute load 0.5 to 1.5",
        "CPU clock 2600 MHz",
        "at least 4.0 GiB",
    ):
        assert fact in quiet
    assert "not a quiet machine" not in quiet
    busy = rendered(tmp_path, entry("bench/test_a.py::test_a", state_before=state(2.5)))
    assert "the load reached 2.5 on 2 cores" in busy


def test_a_gpu_that_is_held_back_is_marked(tmp_path: Path) -> None:
    made = entry(
        "bench/test_a.py::test_a",
        device="cuda",
        kernel=times(0.004),
        state_before=state(None) | {"gpu_mhz": 1980},
        state_after=state(None, ["software power cap"]) | {"gpu_mhz": 1500},
    )
    page = rendered(tmp_path, made, machine_info={**MACHINE, "gpu": "Test GPU"})
    assert "Test GPU, 2 cores" in page
    assert "GPU clock 1500 MHz to 1980 MHz" in page
    assert cells(page, "a")["kernel median"] == "4 ms"
    assert "held back: software power cap" not in cells(page, "a").values()
    assert "The GPU's clock was held back: software power cap." in page


def test_names_cannot_break_the_table(tmp_path: Path) -> None:
    made = entry("bench/test_a.py::test_a[x|y]", what="one\n| two")
    page = rendered(tmp_path, made)
    assert cells(page, "a[x\\|y]")["noted"] == "what one / two"


def report(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.report", "--benchmarks", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_a_real_benchmark_can_be_rendered(tmp_path: Path) -> None:
    path = tmp_path / "timer.json"
    case = "bench/test_timer.py::test_timer_overhead"
    options = ["--benchmark-only", "--benchmark-json", str(path), "-q", "-p", "no:cacheprovider"]
    # A worker of pytest-xdist would switch benchmarks off.
    alone = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    subprocess.run(
        [sys.executable, "-m", "pytest", case, *options], cwd=ROOT, env=alone, check=True
    )
    done = report(path)
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "timer.md"))
    page = (tmp_path / "timer.md").read_text()
    assert "## Timer" in page
    assert cells(page, "timer_overhead[cpu]")["n"] == "100"


def test_a_foreign_file_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    done = report(tmp_path / "a.json")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]
