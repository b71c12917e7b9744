"""Plots as SVG and PNG, legible without color: every system has a marker of its own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookie.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's palette: distinguishable with every common color vision."""

STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKED = (1, 2, 5, 10, 20, 50, 100)
"""Places of a logarithmic axis that have a tick, and curves a marker."""


def looks(
    panels: Iterable[Iterable[str]], styles: Sequence[Any] = STYLES
) -> dict[str, tuple[str, Any]]:
    """Return color and line style of each label, the same in all ``panels``."""
    labels = dict.fromkeys(chain.from_iterable(panels))
    return dict(zip(labels, zip(cycle(COLORS), cycle(styles), strict=False), strict=False))


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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.2 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
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


def few_minor_labels(axis: Axes) -> Callable[[float, float], str]:
    """Label 2 and 5 of a decade where the axis spans less than two of them."""

    def label(value: float, _: float) -> str:
        low, high = axis.get_xlim()
        leading = f"{value:e}"[0]
        return f"{value:g}" if high / low < 100 and leading in "25" else ""

    return label


@dataclass(frozen=True, slots=True)
class Curve:
    """One system's values; ``values[i]`` belongs to the i-th place on the axis."""

    label: str
    marker: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class CurvePanel:
    """Curves under a title, all over the same ascending ``places``."""

    title: str
    places: Sequence[int]
    curves: tuple[Curve, ...]


def curves(rows: Sequence[Sequence[CurvePanel]], x_label: str, y_label: str) -> Figure:
    """Return lines over a logarithmic axis, a row of panels a section.

    Color, line style and marker all tell the systems apart, so that any one of them will do.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.8 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), max(map(len, rows)), squeeze=False, sharey="row")
    styles = looks([curve.label for curve in panel.curves] for row in rows for panel in row)
    for line, row in zip(axes, rows, strict=True):
        for axis, panel in zip(line, row, strict=True):
            axis.set(xscale="log", xlabel=x_label, title=panel.title)
            _draw_curves(axis, panel, styles)
        line[0].set_ylabel(y_label)
        line[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def _draw_curves(axis: Axes, panel: CurvePanel, styles: Mapping[str, tuple[str, Any]]) -> None:
    marked = [i for i, place in enumerate(panel.places) if place in MARKED]
    for curve in panel.curves:
        color, style = styles[curve.label]
        axis.plot(
            panel.places,
            curve.values,
            color=color,
            linestyle=style,
            marker=curve.marker,
            markevery=marked,
            markersize=7,
            markeredgecolor=None if curve.marker in "x+" else "black",
            label=curve.label,
        )
    axis.set_xticks([place for place in MARKED if place <= panel.places[-1]])
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.grid(visible=True, which="major", color="#DDDDDD")
    axis.set_axisbelow(True)


def frontier(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in both time and RSUM, fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.seconds, -p.rsum)):
        if not front or point.rsum > front[-1].rsum:
            front.append(point)
    return front


def save(figure: Figure, stem: Path) -> None:
    """Write ``stem``.svg and ``stem``.png, the same bytes for the same figure."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "cookie", "svg.fonttype": "none"}):
        for suffix, metadata in ((".svg", {"Date": None}), (".png", {"Software": None})):
            image = io.BytesIO()
            figure.savefig(image, format=suffix[1:], dpi=150, metadata=metadata)
            with replacing(stem.with_suffix(suffix)) as temporary:
                temporary.write_bytes(image.getvalue())
