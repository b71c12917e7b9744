"""Curves of Recall@K: told apart without color, the same in all panels."""

from __future__ import annotations

from bench.plots.figures import STYLES
from bench.plots.recalls import RecallCurve, RecallPanel, recall_figure


def panel(systems: int) -> RecallPanel:
    lines = (RecallCurve(f"system {i}", "osv^D"[i % 5], [i, i + 1.0, 50.0]) for i in range(systems))
    return RecallPanel("title", [1, 2, 100], tuple(lines))


def test_curves_are_told_apart_without_color() -> None:
    figure = recall_figure([[panel(7), panel(7)]], "K", "R@K, %")
    lines = figure.axes[0].get_lines()
    looks = {str(line._dash_pattern) for line in lines}
    assert len(lines) == len(STYLES) == 7
    assert len(looks) == 7
    assert len({line.get_color() for line in lines}) == 7


def test_curves_go_through_their_values() -> None:
    figure = recall_figure([[panel(2)], [panel(1)]], "K", "R@K, %")
    (first, second), (only,) = (axis.get_lines() for axis in figure.axes)
    assert list(second.get_xdata()) == [1, 2, 100]
    assert list(second.get_ydata()) == [1.0, 2.0, 50.0]
    assert list(only.get_ydata()) == list(first.get_ydata())
    assert {axis.get_xscale() for axis in figure.axes} == {"log"}
    assert figure.axes[0].get_ylabel() == "R@K, %"


def test_a_system_looks_the_same_in_all_panels() -> None:
    lines = recall_figure([[panel(3)], [panel_of(panel(3).curves[1:])]], "K", "R@K, %")
    first, second = (axis.get_lines() for axis in lines.axes)
    assert [line.get_color() for line in first[1:]] == [line.get_color() for line in second]
    assert [line.get_linestyle() for line in first[1:]] == [line.get_linestyle() for line in second]


def panel_of(lines: tuple[RecallCurve, ...]) -> RecallPanel:
    return RecallPanel("title", [1, 2, 100], lines)
