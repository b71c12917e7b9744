"""Bars begin at 0, carry their intervals, and are told apart without color."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes

from bench.plots.bars import Bar, BarPanel, bar_chart

BARS = (Bar("first", 3.0, 1.0, 6.0, hatched=True), Bar("second", -2.0, -4.0, 1.0))


def axis_of(*panels: BarPanel) -> Axes:
    found: Axes = bar_chart(panels, "points").axes[0]
    return found


def test_lengths_begin_at_zero_and_labels_follow_the_order() -> None:
    axis = axis_of(BarPanel("title", BARS))
    patches = axis.patches
    assert [(p.get_x(), p.get_width()) for p in patches] == [(0.0, 3.0), (0.0, -2.0)]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["first", "second"]
    assert axis.yaxis_inverted()
    assert axis.get_title() == "title"
    assert axis.get_xlabel() == "points"


def test_intervals_are_drawn_where_they_are() -> None:
    axis = axis_of(BarPanel("title", BARS))
    segments = [c.get_segments() for c in axis.collections]
    ends = [sorted(np.array(part[0])[:, 0].tolist()) for part in segments]
    assert ends == [pytest.approx([1.0, 6.0]), pytest.approx([-4.0, 1.0])]


def test_no_color_is_needed() -> None:
    axis = axis_of(BarPanel("title", BARS))
    colors = [c for p in axis.patches for c in (p.get_facecolor(), p.get_edgecolor())]
    assert all(red == green == blue for red, green, blue, _ in colors)
    assert [bool(p.get_hatch()) for p in axis.patches] == [True, False]


def test_one_panel_a_section() -> None:
    assert len(bar_chart([BarPanel("a", BARS), BarPanel("b", BARS[:1])], "x").axes) == 2


@pytest.mark.parametrize("value", [-300.0, 300.0])
def test_a_bar_that_leaves_no_room_is_cut_and_bears_its_value(value: float) -> None:
    far = Bar("far", value, value - 5, value + 5)
    axis = axis_of(BarPanel("title", (*BARS, far)))
    left, right = axis.get_xlim()
    assert left <= -4
    assert right >= 6
    assert right - left < 20
    assert [text.get_text().strip() for text in axis.texts] == [
        "\u25c2 -300.0" if value < 0 else "300.0 \u25b8"
    ]


def test_bars_of_like_lengths_are_whole() -> None:
    axis = axis_of(BarPanel("title", (*BARS, Bar("third", 12.0, 9.0, 15.0))))
    assert axis.get_xlim()[1] > 15
    assert not axis.texts
