"""Gaps that can be read without color: markers, dashes, filled and empty, the line at 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.plots.figures import save
from bench.plots.gaps import GapCurve, GapPanel, gap_figure

BOUNDS = ((-1.0, 3.0), (1.0, 5.0), (-2.0, 8.0))
CURVES = tuple(
    GapCurve(name, marker, (10, 100, 1000), (1.0, 3.0, 2.0), BOUNDS, (False, True, False))
    for name, marker in (("a", "o"), ("b", "s"), ("c", "^"))
)
PAIRS, DEPTH = GapPanel("t", "pairs", CURVES, logarithmic=True), GapPanel("t", "layers", CURVES[:1])


def test_curves_differ_in_marker_and_dash_and_have_their_bars() -> None:
    axis, _ = gap_figure([[PAIRS, DEPTH]], "y").axes
    assert axis.get_xscale() == "log"
    containers = axis.containers
    assert [str(item.get_label()) for item in containers] == ["a", "b", "c"]
    lines = [item[0] for item in containers]  # type: ignore[index]
    assert len({line.get_marker() for line in lines}) == 3
    assert len({str(line._dash_pattern) for line in lines}) == 3
    (bars,) = containers[0][2]  # type: ignore[index]
    ends = [(low[1], high[1]) for low, high in bars.get_segments()]
    assert ends == [pytest.approx(pair) for pair in BOUNDS]


def test_a_curve_has_one_color_and_one_name_in_a_row() -> None:
    left = GapPanel("t", "pairs", CURVES[::2])
    first, second = gap_figure([[left, PAIRS]], "y").axes
    looks = [
        {str(item.get_label()): (item[0].get_color(), str(item[0]._dash_pattern)) for item in found}
        for found in (first.containers, second.containers)  # type: ignore[attr-defined]
    ]
    assert looks[0].keys() == {"a", "c"}
    assert all(looks[1][name] == look for name, look in looks[0].items())
    assert len(set(looks[1].values())) == 3
    legend = first.get_legend()
    assert legend is not None
    assert sorted(text.get_text() for text in legend.get_texts()) == ["a", "b", "c"]
    assert second.get_legend() is None


def test_what_is_not_told_is_empty() -> None:
    axis, _ = gap_figure([[PAIRS, DEPTH]], "y").axes
    empty = [line for line in axis.lines if line.get_color() == "white"]
    assert len(empty) == 3
    assert [list(line.get_ydata()) for line in empty] == [[1.0, 2.0]] * 3  # type: ignore[arg-type]


def test_curves_at_the_same_place_do_not_hide_each_other() -> None:
    axis, other = gap_figure([[PAIRS, GapPanel("t", "layers", CURVES)]], "y").axes
    for one in (axis, other):
        starts = [float(item[0].get_xdata()[0]) for item in one.containers]  # type: ignore[index]
        assert starts == sorted(set(starts))
        assert starts[0] == 10
        assert starts[-1] < 1.2 * 10 + 0.03 * 990
    assert [text.get_text() for text in axis.get_xticklabels()] == ["10", "100", "1,000"]


@pytest.mark.parametrize("logarithmic", [True, False])
def test_at_a_single_place_they_stand_side_by_side(logarithmic: bool) -> None:
    curves = tuple(GapCurve(n, n, (5,), (1.0,), ((0.0, 2.0),), (True,)) for n in "os^")
    (axis,) = gap_figure([[GapPanel("t", "x", curves, logarithmic)]], "y").axes
    starts = [float(item[0].get_xdata()[0]) for item in axis.containers]  # type: ignore[index]
    assert len(set(starts)) == 3
    left, right = axis.get_xlim()
    assert (starts[1] - starts[0]) / (right - left) == pytest.approx(0.024)
    assert (left + right) / 2 == pytest.approx(5)


def test_a_single_place_is_drawn_and_a_panel_without_curves_stays_empty() -> None:
    one = GapCurve("a", "o", (5,), (1.0,), ((0.0, 2.0),), (True,))
    figure = gap_figure(
        [[GapPanel("t", "x", (one,), logarithmic=True), GapPanel("t", "x", ())]], ""
    )
    drawn, empty = figure.axes
    assert drawn.axison
    assert not empty.axison
    assert not empty.lines


def test_files_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save(gap_figure([[PAIRS, DEPTH], [PAIRS, DEPTH]], "y"), tmp_path / name)
    for suffix in (".svg", ".png"):
        first, second = (tmp_path / f"{name}{suffix}" for name in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
