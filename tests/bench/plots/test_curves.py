"""Line plots that can be read without color: markers, dashes, hollow points, the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.plots.curves import Chart, Curve, growth_figure, path_figure
from bench.plots.curves import Path as Way
from bench.plots.figures import save
from bench.plots.pareto import Point

CURVES = tuple(
    Curve(name, marker, (1e3, 1e4, 1e5), (t, 2 * t, 9 * t), (False, False, name == "b"))
    for name, marker, t in (("a", "o", 1e-3), ("b", "s", 1.0), ("c", "^", 1e-2), ("d", "x", 1e-4))
)
WAY = Way(
    "title",
    (
        Point("first", "*", 0.001, 300, 290, 310),
        Point("1", "^", 0.002, 300, 290, 310),
        Point("8", "^", 0.004, 350, 340, 360),
        Point("last", "s", 0.4, 340, 330, 350),
    ),
)


def test_lines_differ_in_marker_and_dash() -> None:
    (axis,) = growth_figure([Chart("title", CURVES)], "x", "y").axes
    lines = [line for line in axis.lines if not str(line.get_label()).startswith("_")]
    assert [line.get_label() for line in lines] == ["a", "b", "c", "d"]
    assert len({line.get_marker() for line in lines}) == 4
    assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in lines}) == 4  # type: ignore[attr-defined]
    assert axis.get_xscale() == axis.get_yscale() == "log"


def test_extrapolated_points_are_hollow() -> None:
    (axis,) = growth_figure([Chart("title", CURVES)], "x", "y").axes
    hollow = [line for line in axis.lines if line.get_color() == "white" and len(line.get_xdata())]  # type: ignore[arg-type]
    assert len(hollow) == 1
    assert list(hollow[0].get_xdata()) == [1e5]  # type: ignore[arg-type]
    assert hollow[0].get_marker() == "s"


def test_more_lines_than_colors_are_all_drawn() -> None:
    many = tuple(Curve(str(i), "o", (1.0, 2.0), (1.0, 2.0), (False, False)) for i in range(12))
    (axis,) = growth_figure([Chart("title", many)], "x", "y").axes
    drawn = [line for line in axis.lines if not str(line.get_label()).startswith("_")]
    assert len(drawn) == 12


def test_lengths_stand_beside_their_points_and_the_legend_is_short() -> None:
    (axis,) = path_figure([WAY], "ms").axes
    assert [text.get_text() for text in axis.texts] == ["1", "8"]
    legend = axis.get_legend()
    assert legend is not None
    shown = [text.get_text() for text in legend.get_texts()]
    assert sorted(shown) == ["beaten by nothing else", "first", "last", "re-ranked, k beside it"]


def test_a_way_without_steps_between() -> None:
    assert path_figure([Way("title", (WAY.points[0], WAY.points[-1]))], "ms").axes


@pytest.mark.parametrize("kind", ["growth", "path"])
def test_files_are_the_same_every_time(kind: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        chart, way = [Chart("title", CURVES)], [WAY, WAY]
        figure = growth_figure(chart, "x", "y") if kind == "growth" else path_figure(way, "ms")
        save(figure, tmp_path / name)
    for suffix in (".svg", ".png"):
        first, second = (tmp_path / f"{name}{suffix}" for name in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
