"""Recall over K: how the share of answered queries grows with the answers that are looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.plots.figures import blank, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKED = (1, 2, 5, 10, 20, 50, 100)
"""Places of the axis that have a tick, and curves a marker."""


@dataclass(frozen=True, slots=True)
class RecallCurve:
    """One system's values; ``values[i]`` belongs to the i-th place on the axis."""

    label: str
    marker: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class RecallPanel:
    """Curves under a title, all over the same ascending ``places``."""

    title: str
    places: Sequence[int]
    curves: tuple[RecallCurve, ...]


def recall_figure(rows: Sequence[Sequence[RecallPanel]], x_label: str, y_label: str) -> Figure:
    """Return lines over a logarithmic axis, a row of panels a section.

    Color, line style and marker all tell the systems apart, so that any one of them will do.
    """
    figure = blank(10.5, 3.8 * len(rows))
    axes = figure.subplots(len(rows), max(map(len, rows)), squeeze=False, sharey="row")
    styles = looks([curve.label for curve in panel.curves] for row in rows for panel in row)
    for line, row in zip(axes, rows, strict=True):
        for axis, panel in zip(line, row, strict=True):
            axis.set(xscale="log", xlabel=x_label, title=panel.title)
            _draw_curves(axis, panel, styles)
        line[0].set_ylabel(y_label)
        line[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def _draw_curves(axis: Axes, panel: RecallPanel, styles: Mapping[str, tuple[str, Any]]) -> None:
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
