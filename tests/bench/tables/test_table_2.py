"""Table 2 against the records it is made from."""

from __future__ import annotations

from typing import Any

import pytest

from bench.failures import Failure
from bench.findings.sections import views
from bench.layout import Marked, Missing
from bench.records import EVERY_SYSTEM, Cell, Kind, Record, Section
from bench.tables import Block, tables
from bench.tables.speed_columns import APART, TURNS
from bench.tables.table_2 import _points, tie_bounds
from tests.bench.hand_made import (
    efficiency,
    evaluations,
    latency,
    load,
    train,
    uniform,
    whole_section,
)


def block(*records: Record) -> Block:
    (view,) = views(records or whole_section())
    return tables["2"].block(view)


def by_system(laid_out: Block) -> dict[str, Any]:
    labels = [row["system"] for row in laid_out.rows]
    names = [label.value if isinstance(label, Marked) else label for label in labels]
    return dict(zip(names, laid_out.rows, strict=True))


def test_time_is_related_to_the_single_stream() -> None:
    rows = by_system(block())
    assert rows["dual-stream"]["evaluation_s"] == 1.0
    assert rows["dual-stream"]["per_mille"].value == pytest.approx(0.25)
    assert rows["single-stream"]["per_mille"].value == pytest.approx(1000.0)
    assert rows["COOKIE, top 16 re-ranked"]["per_mille"].value == pytest.approx(12.5)


def test_a_compiled_row_is_related_to_the_compiled_single_stream() -> None:
    seconds = {"cookie": 4.0, "cookie_compiled": 2.0, "single_stream": 1000.0}
    records = [efficiency(name, value) for name, value in seconds.items()]
    assert isinstance(by_system(block(*records))["COOKIE, compiled"]["per_mille"], Missing)
    records.append(efficiency("single_stream_compiled", 800.0))
    rows = by_system(block(*records))
    assert rows["COOKIE, compiled"]["per_mille"] == pytest.approx(2.5)
    assert rows["COOKIE"]["per_mille"] == pytest.approx(4.0)
    assert isinstance(rows["COOKIE, compiled"]["rsum"], Missing)


def test_the_ratio_is_that_of_the_rounds_where_there_are_rounds() -> None:
    """Alone COOKIE was measured in a slow hour: 8 per mille; side by side it takes 2."""
    alone = [efficiency("cookie", 8.0), efficiency("two_stage", 50.0)]
    alone += [efficiency("cookie_compiled", 7.0), efficiency("single_stream", 1000.0)]
    alone.append(efficiency("single_stream_compiled", 700.0))
    rounds = {"cookie": [2.0, 4.0, 2.0], "single_stream": [1000.0, 2000.0, 1000.0]}
    reason = "torch could not compile it."
    together = evaluations(rounds, left_out={"cookie_compiled": reason}, extrapolated=False)
    rows = by_system(block(*alone, together))
    ratio = rows["COOKIE"]["per_mille"]
    assert (ratio.value, ratio.remark) == (pytest.approx(2.0), TURNS)
    assert rows["COOKIE"]["evaluation_s"] == 8.0
    assert rows["single-stream"]["per_mille"] == pytest.approx(1000.0)
    apart, failed = (rows[name]["per_mille"] for name in ("COOKIE, top 16 re-ranked", COMPILED))
    assert (apart.value, apart.remark) == (pytest.approx(50.0), APART)
    assert (failed.value, failed.remark) == (pytest.approx(10.0), f"{APART} {reason}")
    marked = by_system(block(*alone, evaluations(rounds)))["COOKIE"]["per_mille"]
    assert marked.value == pytest.approx(2.0)
    assert marked.remark.startswith(f"{TURNS} Extrapolated")


COMPILED = "COOKIE, compiled"


def test_a_gpus_sections_show_kernel_times_beside_request_times() -> None:
    headings = [grid.heading for grid in block().grids]
    assert "Request and kernel time" not in headings
    record = efficiency("cookie", 1.0)
    record.values["one_query"] = {"request": {"p50": 0.004}, "kernel": {"p50": 0.001}}
    laid_out = block(record, efficiency("dual_stream", 1.0))
    (grid,) = [grid for grid in laid_out.grids if grid.heading == "Request and kernel time"]
    assert [row["system"] for row in grid.rows] == ["COOKIE"]
    assert by_system(laid_out)["COOKIE"]["kernel_share"] == 0.25
    record.values["one_query"]["kernel"] = None
    assert "kernel_s" not in by_system(block(record))["COOKIE"]


def test_a_gpus_sections_show_how_busy_training_kept_it() -> None:
    def training(*records: Record) -> Any:  # noqa: ANN401
        laid_out = block(efficiency("cookie", 1.0), *records)
        (grid,) = [grid for grid in laid_out.grids if grid.heading == "Training"]
        return [column.heading for column in grid.columns][-1], grid.rows

    records = [train("cookie"), train("cookie", seed=1)]
    assert training(*records)[0] == "trained parameters"
    for record, busy in zip(records, (0.97, 0.5), strict=True):
        record.values["gpu_busy"] = busy
    last, (row,) = training(*records)
    assert (last, row["gpu_busy"]) == ("GPU busy", "97 %, 50 %")


def test_a_row_that_could_not_be_compiled_says_so() -> None:
    times = latency({"cookie": 0.003})
    times.values["left_out"] = {"cookie_compiled": "torch could not compile it."}
    rows = by_system(block(efficiency("cookie_compiled", 1.0), times))
    assert rows["COOKIE, compiled"]["p50_s"] == Missing("torch could not compile it.")


def test_a_compiled_point_has_the_accuracy_of_its_weights() -> None:
    times = latency({"cookie": 0.003, "cookie_compiled": 0.002})
    (view,) = views([uniform("cookie", 20), efficiency("cookie_compiled", 1.0), times])
    points = {point.label: point for point in _points(view)}
    assert points["COOKIE, compiled"].seconds < points["COOKIE"].seconds
    assert points["COOKIE, compiled"].rsum == points["COOKIE"].rsum


def test_a_re_ranker_s_point_has_its_own_accuracy() -> None:
    (view,) = views(whole_section())
    points = {point.label: point for point in _points(view)}
    evidence = view.evidence("two_stage")
    assert evidence is not None
    assert points["COOKIE, top 16 re-ranked"].rsum == evidence.rsum
    assert points["COOKIE, top 16 re-ranked"].rsum != points["COOKIE"].rsum


def test_a_ratio_to_an_extrapolated_time_is_marked() -> None:
    rows = by_system(block())
    assert isinstance(rows["single-stream"]["evaluation_s"], Marked)
    assert isinstance(rows["COOKIE"]["per_mille"], Marked)
    assert not isinstance(rows["COOKIE"]["evaluation_s"], Marked)
    measured = by_system(block(efficiency("cookie", 1.0), efficiency("single_stream", 100.0)))
    assert measured["COOKIE"]["per_mille"] == pytest.approx(10.0)


def test_rates_memory_and_work_are_those_of_the_record() -> None:
    made = efficiency("cookie", 1.0)
    made.values["memory"]["allocated"] = {"peak_bytes": 2**30, "reason": None}
    row = by_system(block(made))["COOKIE"]
    assert row["queries_per_second"] == 123.4
    assert (row["peak_rss_bytes"], row["allocated_bytes"]) == (300 * 2**20, 2**30)
    assert row["reserved_bytes"] == Missing("CPU has no caching allocator.")
    assert (row["parameters"], row["flops_per_query"]) == (1_234_567, 2.5e9)
    assert row["share_of_peak"] == 0.25


def test_nothing_unknown_is_a_number() -> None:
    rows = by_system(block())
    floor, naive = rows["ridge floor"], rows["single-stream, naive loop"]
    unknown = ("evaluation_s", "p50_s", "queries_per_second", "peak_rss_bytes", "parameters")
    assert all(isinstance(floor[key], Missing) for key in unknown)
    assert isinstance(naive["rsum"], Missing)
    assert isinstance(rows["COOKIE"]["allocated_bytes"], Missing)
    assert isinstance(rows["COOKIE"]["pairs_per_second"], Missing)
    assert isinstance(rows["single-stream"]["p99_s"], Missing)


def test_every_na_has_its_reason_below() -> None:
    text = block().markdown
    marks = {part.split("]")[0] for part in text.split("n/a [")[1:]}
    assert marks
    for mark in marks:
        assert f"\n- [{mark}] " in text


def test_no_cell_is_empty_or_none() -> None:
    lines = [line for line in block().markdown.splitlines() if line.startswith("|")]
    cells = [cell.strip() for line in lines for cell in line.strip("|").split("|")]
    assert "" not in cells
    assert not [cell for cell in cells if "None" in cell or "nan" in cell]


def test_percentiles_come_with_their_n() -> None:
    rows = by_system(block())
    assert rows["COOKIE"]["p99_s"] == pytest.approx(0.009)
    assert rows["COOKIE"]["n"] == 500
    assert rows["single-stream"]["n"] == 9


def test_training_is_listed_by_seed() -> None:
    text = block(train("cookie"), train("cookie", seed=1), efficiency("cookie", 1.0)).markdown
    assert "61 s, 61 s" in text
    assert "600" in text


def test_ties_that_matter_are_shown() -> None:
    tied = uniform("cookie", 20)
    tied.values["metrics"]["i2t"]["optimistic"]["1"] = 90.0  # type: ignore[index]
    text = block(tied, efficiency("cookie", 1.0)).markdown
    low, high = tie_bounds(tied.values["metrics"])
    assert high > low
    assert f"RSUM lies between {low:.2f} and {high:.2f}" in text


def test_the_bounds_of_ties_are_averaged_over_seeds_as_rsum_is() -> None:
    """Seeds that differ are no ties."""
    seeds = [uniform("cookie", 20), uniform("cookie", 30, seed=1)]
    seeds[0].values["metrics"]["i2t"]["optimistic"]["1"] = 90.0  # type: ignore[index]
    seeds[1].values["metrics"]["i2t"] |= {  # type: ignore[index]
        side: {"1": 90.0, "5": 90.0, "10": 90.0} for side in ("optimistic", "pessimistic")
    }
    text = block(*seeds, efficiency("cookie", 1.0)).markdown
    assert "RSUM lies between 450.00 and 490.00" in text


def test_a_row_without_accuracy_says_why() -> None:
    rows = by_system(block(efficiency("cookie", 1.0), efficiency("cookie_compiled", 1.0)))
    assert rows["COOKIE"]["rsum"] == Missing("Not evaluated here yet.")
    assert rows["COOKIE, compiled"]["rsum"] == Missing("Accuracy is that of the row above.")


def test_a_section_without_speed_has_no_table_2() -> None:
    (view,) = views([uniform("cookie", 3)])
    assert not tables["2"].has_rows(view)


def test_latency_alone_is_shown() -> None:
    text = block(uniform("cookie", 3), latency({"cookie": 0.002})).markdown
    assert "2 ms" in text
    assert "Not measured in this section yet." in text


def under_load(*records: Record) -> dict[str, Any]:
    keys = ("closed_one", "closed_batched", "highest_rate")
    rows = by_system(block(*whole_section(), *records))
    return {name: [row[key] for key in keys] for name, row in rows.items()}


def test_load_is_shown_with_its_reasons() -> None:
    loads = load("cookie", 180.0, 700.0, 640.0), load("single_stream", 3.1, None, None)
    rows = under_load(*loads)
    assert rows["COOKIE"] == [180.0, 700.0, 640.0]
    batched, highest = Missing("A batch takes too long."), Missing("One query alone takes 319 ms.")
    assert rows["single-stream"] == [3.1, batched, highest]
    text = block(*whole_section(), *loads).markdown
    assert "#### Under load" in text
    assert "highest rate at p99 ≤ 100 ms" in text
    assert "One query alone takes 319 ms." in text


def test_sections_from_before_the_load_cells_are_rendered_with_the_reason() -> None:
    rows = under_load()
    assert rows["COOKIE"] == 3 * [Missing("Not measured under load in this section yet.")]
    assert "answers no queries" in rows["ridge floor"][0].reason
    printed = block().markdown.partition("#### Under load")[2].partition("####")[0]
    assert "ridge floor" not in printed
    assert printed.count("n/a") == 3 * 4


def failed(kind: Kind, system: str, reason: str) -> Failure:
    return Failure(Cell(kind, system, 0), uniform("cookie", 3).section, reason)


def test_a_failed_cell_is_na_with_its_reason_and_the_others_stand() -> None:
    records = [r for r in whole_section() if r.cell != Cell("efficiency", "cookie", 0)]
    failures = [failed("efficiency", "cookie", "Too little memory.")]
    failures += [failed("load", "cookie", "Too slow."), failed("accuracy", "cookie", "Not shown.")]
    (view,) = views(records, failures)
    laid_out = tables["2"].block(view)
    row = by_system(laid_out)["COOKIE"]
    assert row["evaluation_s"] == Missing("Could not be run: Too little memory.")
    assert row["highest_rate"] == Missing("Could not be run: Too slow.")
    assert isinstance(row["rsum"], float), "a record is shown, whatever failed later"
    assert "Could not be run: Too little memory." in laid_out.markdown
    assert by_system(laid_out)["dual-stream"] == by_system(block())["dual-stream"]


def test_a_system_of_which_everything_failed_keeps_its_row() -> None:
    records = [r for r in whole_section() if r.cell.system not in ("cookie", EVERY_SYSTEM)]
    reasons: dict[Kind, str] = {"accuracy": "One.", "efficiency": "Two."}
    failures = [failed(kind, "cookie", reason) for kind, reason in reasons.items()]
    failures.append(failed("latency", EVERY_SYSTEM, "Three."))
    (view,) = views(records, failures)
    row = by_system(tables["2"].block(view))["COOKIE"]
    keys = ("rsum", "parameters", "p50_s")
    shown = [row[key].reason for key in keys]
    assert shown == [f"Could not be run: {word}." for word in ("One", "Two", "Three")]
    text = tables["1"].block(view).markdown
    assert text.count("| COOKIE  ") == 1
    assert "Could not be run: One." in text


def test_a_failed_measurement_of_speed_is_no_row_of_accuracies() -> None:
    records = [r for r in whole_section() if r.cell.system != "cookie"]
    (view,) = views(records, [failed("efficiency", "cookie", "Too slow.")])
    assert "COOKIE" in by_system(tables["2"].block(view))
    assert "COOKIE" not in by_system(tables["1"].block(view))


def test_failures_of_other_sections_are_not_shown() -> None:
    other = Failure(Cell("load", "cookie", 0), Section("tiny", "scratch", "elsewhere"), "No.")
    (view,) = views(whole_section(), [other])
    assert view.failures == ()


def test_a_load_for_other_bounds_is_not_put_under_these_headings() -> None:
    other = load("cookie", 180.0, 700.0, 640.0)
    other.values["limit_s"] = 0.05  # type: ignore[index]
    assert "other bounds" in under_load(other)["COOKIE"][0].reason


def test_cells() -> None:
    cells = tables["2"].cells((3, 4), False)
    assert Cell("train", "single_stream", 4) in cells
    assert Cell("efficiency", "cookie", 3) in cells
    assert Cell("efficiency", "cookie", 4) not in cells
    assert Cell("latency", EVERY_SYSTEM, 3) in cells
    assert [c for c in cells if c.kind == "evaluations"] == [Cell("evaluations", EVERY_SYSTEM, 3)]
    loaded = [cell for cell in cells if cell.kind == "load"]
    names = (
        "dual_stream",
        "cookie",
        "cookie_compiled",
        "single_stream",
        "single_stream_compiled",
        "two_stage",
    )
    assert loaded == cells[-6:] == [Cell("load", name, 3) for name in names]
    assert not [cell for cell in cells if cell.system == "dual_stream_triplet"]
    more = {cell for cell in tables["2"].cells((3, 4), True) if "triplet" in cell.system}
    assert {cell.kind for cell in more} == {"train", "accuracy"}


def test_published_figures_have_a_place_of_their_own() -> None:
    text = tables["2"].tail()
    assert "LoopITR" in text
    assert "LoopITR" not in block().markdown
    assert "not measured here" in text
