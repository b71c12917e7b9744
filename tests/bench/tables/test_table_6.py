"""Table 6 against the records it is made from."""

from __future__ import annotations

import pytest

from bench.findings.inference_time import gallery_for, per_mille_at
from bench.findings.scaling import evaluation_at, published_ratio, ratio_rows
from bench.findings.sections import View, views
from bench.layout import Marked, Missing
from bench.records import EVERY_SYSTEM, Cell, Record
from bench.tables import Block, tables
from tests.bench.hand_made import IMAGES, efficiency, evaluation, growth, unfitting_growth

SIZES = (1_000, 10_000, 100_000)


def records() -> list[Record]:
    """COOKIE grows with the root of the gallery, the single-stream in proportion."""
    return [
        growth(
            size,
            {
                "dual_stream": 1e-3,
                "cookie": 1e-4 * size**0.5,
                "single_stream": 1e-3 * size,
                "two_stage": 2e-4 * size**0.5,
            },
            extrapolated=size == 100_000,
        )
        for size in SIZES
    ]


def speed() -> list[Record]:
    return [
        efficiency("cookie", 4.0, parts=(3.0, 1.0)),
        efficiency("single_stream", 102.0, parts=(2.0, 100.0), extrapolated=True),
    ]


def view(made: list[Record] | None = None) -> View:
    (found,) = views(made or [*records(), *speed()])
    return found


def block(made: list[Record] | None = None) -> Block:
    return tables["6"].block(view(made))


def test_rows_are_every_system_at_every_size_and_the_search() -> None:
    rows = block().rows
    assert [row["gallery"] for row in rows] == [size for size in SIZES for _ in range(5)]
    cookie = [row for row in rows if row["system"] == "COOKIE"]
    assert [row["p50_s"] for row in cookie] == pytest.approx([1e-4 * s**0.5 for s in SIZES])
    assert cookie[0]["per_mille"] == pytest.approx(1000 * 1e-4 * 1000**0.5)
    assert cookie[0]["dtype"] == "float32"
    search = [row for row in rows if row["system"] == "search alone"]
    assert [row["share_of_bandwidth"] for row in search] == [0.5] * 3
    assert isinstance(cookie[0]["share_of_bandwidth"], Missing)


def test_what_is_extrapolated_says_so_and_stays_out_of_the_fit() -> None:
    laid_out = block()
    single = [row for row in laid_out.rows if row["system"] == "single-stream"]
    assert not isinstance(single[0]["p50_s"], Marked)
    assert isinstance(single[2]["p50_s"], Marked)
    assert isinstance(single[2]["queries_per_second"], Marked)
    assert single[2]["measured_images"] == 10_000
    other = next(r for r in laid_out.rows if (r["system"], r["gallery"]) == ("COOKIE", 100_000))
    assert isinstance(other["per_mille"], Marked)
    line = next(x for x in laid_out.markdown.splitlines() if x.startswith("| single-stream  "))
    fitted = [x for x in laid_out.markdown.splitlines() if "single-stream " in x and " 2 |" in x]
    assert line
    assert len(fitted) == 1
    assert "1.00" in fitted[0]


def test_exponents_are_those_the_records_were_made_with() -> None:
    (growth_sentence, _) = block().sentences
    assert "COOKIE exponent 0.50 (95 % interval 0.50 to 0.50)" in growth_sentence
    assert "dual-stream exponent 0.00" in growth_sentence
    assert "search alone exponent 1.00" in growth_sentence


def test_a_gallery_kept_otherwise_is_not_fitted_with_the_others() -> None:
    made = records()
    made[2].values["storage"]["dtype"] = "float16"
    made[2].values["systems"]["cookie"]["p50"] = 1e3
    assert "COOKIE exponent 0.50, 0.50 between" in block([*made, *speed()]).sentences[0]
    assert "float16 values in memory" in block([*made, *speed()]).markdown


def test_a_gallery_that_fits_nowhere_gives_its_reason() -> None:
    laid_out = block([*records(), unfitting_growth(10_000_000), *speed()])
    rows = [row for row in laid_out.rows if row["gallery"] == 10_000_000]
    assert len(rows) == 4
    assert all(row["p50_s"] == Missing("The gallery fits neither.") for row in rows)
    assert "The gallery fits neither." in laid_out.markdown
    assert tables["6"].plot([view([*records(), unfitting_growth(10_000_000)])]) is not None


def test_nothing_measured_is_no_plot_and_no_error() -> None:
    only = view([unfitting_growth(10_000_000)])
    assert tables["6"].plot([only]) is None
    assert "fewer than two gallery sizes" in tables["6"].block(only).sentences[0]
    assert "lacks the speed" in tables["6"].block(only).sentences[1]


def test_full_evaluations_by_hand() -> None:
    """At ten times the images: encoding x 10, ranking x 100."""
    ours, theirs = evaluation(4.0, parts=(3.0, 1.0)), evaluation(102.0, parts=(2.0, 100.0))
    assert evaluation_at(10 * IMAGES, ours) == pytest.approx(130.0)
    assert per_mille_at(10 * IMAGES, ours, theirs) == pytest.approx(1000 * 130 / 10_020)
    assert per_mille_at(IMAGES, ours, theirs) == pytest.approx(1000 * 4 / 102)
    size = gallery_for(20.0, ours, theirs)
    assert size is not None
    assert per_mille_at(size, ours, theirs) == pytest.approx(20.0)


def test_measured_and_published_ratios_have_columns_of_their_own() -> None:
    rows = {row["images"]: row for row in ratio_rows(view(), SIZES)}
    assert set(rows) == {IMAGES, 1_000, 5_000, 10_000, 100_000}
    assert rows[1_000]["published"] == 4.7
    assert "11 s of 2342 s" in rows[1_000]["source"]
    assert rows[5_000]["published"] == pytest.approx(0.167)
    assert "30 s of 50 h" in rows[5_000]["source"]
    assert isinstance(rows[IMAGES]["published"], Missing)
    assert isinstance(rows[5_000]["per_mille"], Marked)
    assert isinstance(published_ratio(123)["published"], Missing)


def test_what_was_measured_in_full_and_what_was_compiled_is_told_apart() -> None:
    compiled = efficiency("cookie_compiled", 0.5)
    rows = {row["images"]: row for row in ratio_rows(view([*records(), *speed(), compiled]), SIZES)}
    here, larger = rows[IMAGES]["cookie"], rows[1_000]["cookie"]
    assert isinstance(here, Marked)
    assert here.remark == "As fast as it was measured: COOKIE, compiled."
    assert here.value == pytest.approx(0.5)
    assert isinstance(larger, Marked)
    assert larger.remark.startswith("By the measured rates")
    assert larger.remark.endswith("COOKIE, compiled.")
    (plain,) = [row for row in ratio_rows(view(), SIZES) if row["images"] == IMAGES]
    assert not isinstance(plain["cookie"], Marked)


@pytest.mark.parametrize("measured", [0, 1])
def test_without_both_speeds_there_is_no_ratio(measured: int) -> None:
    one = view([*records(), speed()[measured]])
    assert ratio_rows(one, SIZES) == []
    assert "lacks the speed of cookie and single_stream" in tables["6"].block(one).sentences[1]


def test_rates_are_not_believed_far_beyond_what_was_measured() -> None:
    """40 images were measured: 200 times as many are 8,000."""
    rows = {row["images"]: row for row in ratio_rows(view(), SIZES)}
    for key in ("cookie", "single_stream", "per_mille"):
        assert isinstance(rows[5_000][key], Marked)
        assert isinstance(rows[10_000][key], Missing)
    few = speed()
    for made in few:
        made.values["full_evaluation"]["images"] = 4
    found = tables["6"].block(view([*records(), *few])).sentences[1]
    assert "unknown share" in found
    assert "at 5,000 images" not in found


def test_no_cell_is_empty_or_none() -> None:
    lines = [line for line in block().markdown.splitlines() if line.startswith("|")]
    found = [cell.strip() for line in lines for cell in line.strip("|").split("|")]
    assert "" not in found
    assert not [cell for cell in found if "None" in cell or "nan" in cell]


def test_cells() -> None:
    cells = tables["6"].cells((3, 4), False)
    sizes = [cell.gallery for cell in cells if cell.kind == "growth"]
    assert sizes == [1_000, 10_000, 100_000, 1_000_000]
    assert Cell("train", "cookie", 3) in cells
    assert Cell("growth", EVERY_SYSTEM, 3, 1_000_000) in cells
    assert not [cell for cell in cells if cell.seed == 4]
    more = set(tables["6"].cells((3, 4), True)) - set(cells)
    assert more == {Cell("growth", EVERY_SYSTEM, 3, 10_000_000)}
    assert len({cell.filename for cell in cells}) == len(cells)
