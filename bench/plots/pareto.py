"""Accuracy against time: every system has a marker of its own, a line joins the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.plots.figures import blank, few_minor_labels, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Point:
    """One system in the plane of time and accuracy.

    Attributes:
        label: in the legend. marker: matplotlib marker.
        seconds: per query. rsum: 0 to 600. low, high: its 95 % interval.
    """

    label: str
    marker: str
    seconds: float
    rsum: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One section's points under its title."""

    title: str
    points: tuple[Point, ...]


def pareto(panels: Sequence[Panel], x_label: str) -> Figure:
    """Return RSUM against time, one panel a section; the line joins what nothing else beats."""
    figure = blank(8.5, 4.2 * len(panels))
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    styles = looks([point.label for point in panel.points] for panel in panels)
    for axis, panel in zip(axes, panels, strict=True):
        _draw(axis, panel, x_label, styles)
    return figure


def _draw(axis: Axes, panel: Panel, x_label: str, styles: Mapping[str, tuple[str, Any]]) -> None:
    front = frontier(panel.points)
    axis.plot(
        [p.seconds * 1e3 for p in front], [p.rsum for p in front], "--", color="#777777", zorder=1
    )
    for point in panel.points:
        mark(axis, point, styles[point.label][0])
    axis.set(xscale="log", xlabel=x_label, ylabel="RSUM (95 % interval)", title=panel.title)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(few_minor_labels(axis))
    axis.margins(x=0.08, y=0.08)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axis.grid(visible=True, which="major", color="#DDDDDD")
    axis.set_axisbelow(True)


def mark(axis: Axes, point: Point, color: str) -> None:
    """Draw a point with its interval."""
    milliseconds = point.seconds * 1e3
    error = [[max(0.0, point.rsum - point.low)], [max(0.0, point.high - point.rsum)]]
    axis.errorbar(
        milliseconds,
        point.rsum,
        yerr=error,
        marker=point.marker,
        markersize=11,
        markeredgecolor="black",
        color=color,
        capsize=3,
        linestyle="none",
        label=point.label,
    )


def frontier(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in both time and RSUM, fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.seconds, -p.rsum)):
        if not front or point.rsum > front[-1].rsum:
            front.append(point)
    return front
