"""The page says what the arithmetic gives, is the committed one, and bad input writes nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.checks.pages import links
from bench.layout import Marked
from bench.scale.__main__ import render
from bench.scale.gallery_tables import gallery, queries, ratios, two_stage
from bench.scale.machines import measured, published
from bench.scale.plan import Plan, plan
from bench.scale.scenario import Scenario
from bench.scale.training_tables import machines, storage, training
from cookie.errors import UserError
from tests.bench.hand_made import efficiency
from tests.bench.test_report import stored

ROOT = Path(__file__).parents[3]
COMMITTED = Scenario(results=ROOT / "results")


@pytest.fixture(scope="module")
def made() -> Plan:
    return plan(COMMITTED)


def test_the_committed_page_is_what_is_rendered_now() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert page == render(COMMITTED), "run python -m bench.scale"


def test_every_heading_has_a_table_and_every_remark_a_footnote() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    sections = page.split("\n## ")[1:]
    assert len(sections) == 11
    assert all("\n|:" in section or "\n|-" in section for section in sections)
    body, _, notes = page.rpartition("\n\n")
    assert set(re.findall(r"\[([a-z])\]", body)) == set(re.findall(r"^- \[([a-z])\]", notes, re.M))
    assert all(link.startswith("https://") for link in links(ROOT / "docs" / "scale.md"))


def test_published_peaks_carry_their_source() -> None:
    for machine in published():
        assert machine.source.startswith("published: [")
        assert "(https://www." in machine.source
        assert not machine.measured
    fastest = {machine.name: machine.flops for machine in published()}
    assert fastest["NVIDIA H100 SXM 80 GB"] == 989e12


def test_measured_peaks_are_the_newest_records(tmp_path: Path) -> None:
    peaks = {"device": "cpu", "matmul_flops": {"bfloat16": 9e11}, "copy_bytes": 4e10, "threads": 2}
    records = []
    for day, system in ((2, "cookie"), (1, "dual_stream")):
        made = efficiency(system, 1.0)
        cost = {"peaks": {**peaks, "copy_bytes": day * 4e10}}
        environment = {**made.environment, "memory_bytes": 25e9}
        values = {**made.values, "cost": cost}
        created = f"2026-01-0{day}T00:00:00Z"
        records.append(replace(made, values=values, environment=environment, created=created))
    (machine,) = measured(stored(tmp_path / "results", records))
    assert (machine.flops, machine.bytes_a_second, machine.memory) == (9e11, 8e10, 25e9)
    assert machine.measured
    assert machine.precision == "bfloat16"
    assert measured(tmp_path / "nothing") == []


def test_a_machine_without_bfloat16_is_judged_by_float32(tmp_path: Path, made: Plan) -> None:
    peaks = {"device": "cpu", "matmul_flops": {"float32": 8e10}, "copy_bytes": 4e10, "threads": 2}
    cell = efficiency("cookie", 1.0)
    values = {**cell.values, "cost": {"peaks": peaks}}
    environment = {**cell.environment, "memory_bytes": 25e9}
    record = replace(cell, values=values, environment=environment)
    (machine,) = measured(stored(tmp_path / "results", [record]))
    assert (machine.flops, machine.precision) == (8e10, "float32")
    (row,) = machines(replace(made, machines=(machine,))).rows
    assert row["flops"] == Marked(8e10, "In float32: bfloat16 is emulated there.")


def test_a_gallery_of_a_hundred_million(made: Plan) -> None:
    """100 million x 1024 x 4 bytes; 80 % of an H100's 80 GB holds 64 GB."""
    rows = {row["name"]: row for row in gallery(made).rows}
    assert rows["float32"]["all"] == 409.6e9
    assert rows["float32"]["NVIDIA H100 SXM 80 GB"] == 7
    assert rows["float16"]["NVIDIA H200 SXM 141 GB"] == 2
    assert rows["IVF-PQ, 64-byte codes"]["all"] == 7.2e9
    assert rows["single-stream's image states, bfloat16"]["all"] == 1e8 * 50 * 768 * 2


def test_a_query_against_it(made: Plan) -> None:
    """204.8 GB over four H100 at 0.8 x 3.35 TB/s each; 10.6 GFLOP a pair at 0.4 x 989 TFLOP/s."""
    (row,) = (row for row in queries(made).rows if row["name"] == "NVIDIA H100 SXM 80 GB")
    assert row["machines"] == 4
    assert row["scan"] == pytest.approx(204.8 / (4 * 0.8 * 3350))
    assert row["pairs"] == pytest.approx(1e8 * 10.61e9 / (0.4 * 989e12) / 3600, rel=1e-3)
    assert row["encoding"] == pytest.approx(1e8 * 17.16e9 / (0.4 * 989e12) / 3600, rel=1e-3)
    assert row["rate"] == pytest.approx(4 * 0.4 * 989e12 / (2 * 1e8 * 1024))


def test_training_and_storage(made: Plan) -> None:
    """6 million pairs of 122 GFLOP."""
    (row,) = (row for row in training(made).rows if row["name"] == "NVIDIA A100 SXM 80 GB")
    assert row["cookie10"] == pytest.approx(10 * 6e6 * 122.15e9 / (0.4 * 312e12) / 3600, rel=1e-3)
    shards, pixels = storage(made).rows
    assert shards["all"] == 6e6 * (512 + 28 * 512 + 512 + 512)
    assert pixels["all"] == 6e6 * 150_528


def test_the_ratio_falls_with_the_gallery_towards_a_row_against_a_pair(made: Plan) -> None:
    found = [row["query"] for row in ratios(made).rows]
    assert found == sorted(found, reverse=True)
    row, pair = 4096 / (0.8 * 3.35e12), made.single.pair / (0.4 * 989e12)
    assert found[-1] == pytest.approx(1000 * row / pair, rel=1e-2)


def test_two_stages_cost_what_their_parts_do(made: Plan) -> None:
    first, *_, last = two_stage(made).rows
    assert last["order"] == pytest.approx(16 * first["order"])
    assert last["query"] - first["query"] == pytest.approx(last["order"] - first["order"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"utilization": 0.0}, "--utilization 0.0 is no share"),
        ({"memory": 1.5}, "--memory 1.5 is no share"),
        ({"gallery": 10}, "--gallery must be at least 1000"),
        ({"image_bytes": 0}, "--image-bytes must be at least 1"),
        ({"epochs": ()}, "--epochs takes one or more"),
        ({"epochs": (0,)}, "--epochs takes one or more"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(changes: dict[str, float], sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        render(replace(COMMITTED, **changes))


def test_the_command(tmp_path: Path) -> None:
    target = tmp_path / "page.md"
    command = [sys.executable, "-m", "bench.scale", "--output", str(target)]
    bad = subprocess.run(
        [*command, "--bandwidth", "2"], capture_output=True, text=True, check=False
    )
    assert (bad.returncode, bad.stderr.count("\n"), target.exists()) == (2, 1, False)
    program = "import sys, bench.scale.__main__; assert not {'torch', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
