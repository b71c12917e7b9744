"""Line plots over a size: every line has a marker and a dash pattern of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from bench.plots import COLORS

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
class Step:
    """One length of the shortlist in the plane of time and accuracy.

    Attributes:
        name: written beside the point. seconds: per query.
        rsum: 0 to 600. low, high: its 95 % interval.
    """

    name: str
    seconds: float
    rsum: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Path:
    """One section's way from the dual encoder alone to the pair scorer alone."""

    title: str
    steps: tuple[Step, ...]


def growth_figure(charts: Sequence[Chart], x_label: str, y_label: str) -> Figure:
    """Return log-log lines, one panel a section."""
    figure, axes = _panels(len(charts))
    for axis, chart in zip(axes, charts, strict=True):
        for curve, color, dash in zip(chart.curves, cycle(COLORS), cycle(DASHES), strict=False):
            _draw(axis, curve, color, dash)
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
        _finish(axis)
    return figure


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.2 * count), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Sequence[Axes] = figure.subplots(count, 1, squeeze=False)[:, 0]
    return figure, axes


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


ENDS = ("*", "s")
"""Markers of the first and the last step: as the two systems have them elsewhere."""


def _draw_path(axis: Axes, path: Path) -> None:
    """Draw the steps with a line through them, the ends with markers of their own."""
    steps = path.steps
    axis.plot([s.seconds * 1e3 for s in steps], [s.rsum for s in steps], "-", color="#777777")
    inner = [ENDS[0], *["^"] * (len(steps) - 2), ENDS[1]]
    for number, (step, marker) in enumerate(zip(steps, inner, strict=True)):
        error = [[max(0.0, step.rsum - step.low)], [max(0.0, step.high - step.rsum)]]
        axis.errorbar(
            step.seconds * 1e3,
            step.rsum,
            yerr=error,
            marker=marker,
            markersize=12 if marker == "*" else 8,
            markeredgecolor="black",
            color=COLORS[{"*": 0, "^": 1, "s": 2}[marker]],
            capsize=3,
            linestyle="none",
            label={0: step.name, 1: "re-ranked, k beside it", len(steps) - 1: step.name}.get(
                number
            ),
        )
        if marker == "^":
            axis.annotate(
                step.name,
                (step.seconds * 1e3, step.rsum),
                xytext=(5, 6),
                textcoords="offset points",
                fontsize=8,
            )


def _finish(axis: Axes) -> None:
    axis.margins(x=0.08, y=0.08)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axis.grid(visible=True, which="major", color="#DDDDDD")
    axis.set_axisbelow(True)
