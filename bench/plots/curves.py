"""Line plots over a size: every line has a marker and a dash pattern of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.plots.figures import COLORS, blank, few_minor_labels, looks
from bench.plots.pareto import Point, frontier, mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


@dataclass(frozen=True, slots=True)
class Curve:
    """One line.

    Attributes:
        label: in the legend. marker: matplotlib marker.
        x, y: of its points; both positive.
        hollow: whether a point was extrapolated; drawn as an empty marker.
    """

    label: str
    marker: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    hollow: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One section's lines under its title."""

    title: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Path:
    """One section's way from the dual encoder alone to the pair scorer alone.

    Attributes:
        points: in the order of the shortlist's length; the labels of the inner ones are lengths.
    """

    title: str
    points: tuple[Point, ...]


def growth_figure(charts: Sequence[Chart], x_label: str, y_label: str) -> Figure:
    """Return log-log lines, one panel a section."""
    figure, axes = _panels(len(charts))
    styles = looks(([curve.label for curve in chart.curves] for chart in charts), DASHES)
    for axis, chart in zip(axes, charts, strict=True):
        for curve in chart.curves:
            _draw(axis, curve, *styles[curve.label])
        axis.set(xscale="log", yscale="log", xlabel=x_label, ylabel=y_label, title=chart.title)
        _finish(axis)
    return figure


def path_figure(paths: Sequence[Path], x_label: str) -> Figure:
    """Return RSUM against time along growing shortlists, one panel a section."""
    figure, axes = _panels(len(paths))
    for axis, path in zip(axes, paths, strict=True):
        _draw_path(axis, path)
        axis.set(xscale="log", xlabel=x_label, ylabel="RSUM (95 % interval)", title=path.title)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(few_minor_labels(axis))
        _finish(axis)
    return figure


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    figure = blank(8.5, 4.2 * count)
    return figure, list(figure.subplots(count, 1, squeeze=False)[:, 0])


def _draw(axis: Axes, curve: Curve, color: str, dash: object) -> None:
    style = {"color": color, "markeredgecolor": "black", "markersize": 9}
    axis.plot(
        curve.x,
        curve.y,
        marker=curve.marker,
        linestyle=dash,
        label=curve.label,
        **style,  # type: ignore[arg-type]
    )
    hollow = [i for i, is_hollow in enumerate(curve.hollow) if is_hollow]
    axis.plot(
        [curve.x[i] for i in hollow],
        [curve.y[i] for i in hollow],
        marker=curve.marker,
        linestyle="none",
        **(style | {"color": "white"}),  # type: ignore[arg-type]
    )


def _draw_path(axis: Axes, path: Path) -> None:
    """Draw the shortlists as a line with their lengths beside it, and the front of all points."""
    front = frontier(path.points)
    axis.plot(*_places(front), "--", color="#777777", zorder=1, label="beaten by nothing else")
    first, *inner, last = path.points
    mark(axis, first, COLORS[0])
    if inner:
        axis.plot(*_places(inner), "-", color=COLORS[1], linewidth=1)
        mark(axis, replace(inner[0], label="re-ranked, k beside it"), COLORS[1])
    for point in inner[1:]:
        mark(axis, replace(point, label="_"), COLORS[1])  # matplotlib: not in the legend
    mark(axis, last, COLORS[2])
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # no line runs through a label
    for point in inner:
        axis.annotate(
            point.label,
            (point.seconds * 1e3, point.rsum),
            xytext=(6, 7),
            textcoords="offset points",
            fontsize=8,
            bbox=paper,
        )


def _places(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.seconds * 1e3 for point in points], [point.rsum for point in points]


def _finish(axis: Axes) -> None:
    axis.margins(x=0.08, y=0.08)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axis.grid(visible=True, which="major", color="#DDDDDD")
    axis.set_axisbelow(True)
