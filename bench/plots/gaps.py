"""Differences along an axis with their intervals, told apart by marker, dash and filling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.plots.curves import DASHES
from bench.plots.figures import blank, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

APART = 0.012
"""Of the axis's width, between curves at the same place, so that bars do not hide each other."""
ALONE = 0.1
"""Share of a place that the axis goes beyond it, where it is the only one."""


@dataclass(frozen=True, slots=True)
class GapCurve:
    """One difference along an axis.

    Attributes:
        label: in the legend. marker: matplotlib marker.
        places: ascending. values: at each place. bounds: the interval at each place.
        clear: whether the value at a place is told from 0; drawn filled, else empty.
    """

    label: str
    marker: str
    places: tuple[int, ...]
    values: tuple[float, ...]
    bounds: tuple[tuple[float, float], ...]
    clear: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class GapPanel:
    """Curves over one axis; ``logarithmic`` says how it is scaled."""

    title: str
    x_label: str
    curves: tuple[GapCurve, ...]
    logarithmic: bool = False


def gap_figure(rows: Sequence[Sequence[GapPanel]], y_label: str) -> Figure:
    """Return the panels, a row a section, with the line of no difference in each."""
    wide = max(map(len, rows))
    figure = blank(5.2 * wide, 4.6 * len(rows))
    axes = figure.subplots(len(rows), wide, squeeze=False, sharey="row")
    for line, row in zip(axes, rows, strict=True):
        styles = looks(([curve.label for curve in panel.curves] for panel in row), DASHES)
        for axis, panel in zip(line, row, strict=True):
            _draw_panel(axis, panel, styles)
        line[0].set_ylabel(y_label)
        _legend(line)
    return figure


def _legend(line: Sequence[Axes]) -> None:
    """Name the curves of all panels of a row once, above its first panel."""
    named = [axis.get_legend_handles_labels() for axis in line]
    entries = {
        label: handle
        for handles, labels in named
        for handle, label in zip(handles, labels, strict=True)
    }
    line[0].legend(
        entries.values(), entries.keys(), loc="lower left", bbox_to_anchor=(0, 1.1), frameon=False
    )


def _draw_panel(axis: Axes, panel: GapPanel, styles: Mapping[str, tuple[str, object]]) -> None:
    if not panel.curves:
        axis.set_axis_off()
        return
    axis.axhline(0, color="black", linewidth=0.8)
    for number, curve in enumerate(panel.curves):
        _draw(axis, curve, _moved(panel, curve, number), *styles[curve.label])
    places = sorted({place for curve in panel.curves for place in curve.places})
    axis.set(xlabel=panel.x_label, title=panel.title)
    axis.title.set_fontsize(9)
    if panel.logarithmic and len(places) > 1:
        axis.set_xscale("log")
    axis.set_xticks(places, [f"{place:,}" for place in places])
    axis.minorticks_off()
    axis.margins(x=0.1, y=0.1)
    if len(places) == 1:
        axis.set_xlim(places[0] * (1 - ALONE), places[0] * (1 + ALONE))
    axis.grid(visible=True, which="major", color="#DDDDDD")
    axis.set_axisbelow(True)


def _moved(panel: GapPanel, curve: GapCurve, number: int) -> list[float]:
    """Return the places of a curve, a little beside those of the curves before it."""
    every = [place for other in panel.curves for place in other.places]
    least, most, step = min(every), max(every), APART * number
    if panel.logarithmic and most > least:
        return [place * (most / least) ** step for place in curve.places]
    return [place + ((most - least) or 4 * ALONE * most) * step for place in curve.places]


def _draw(axis: Axes, curve: GapCurve, places: list[float], color: str, dash: object) -> None:
    pairs = list(zip(curve.values, curve.bounds, strict=True))
    error = [
        [max(0.0, value - low) for value, (low, _) in pairs],
        [max(0.0, high - value) for value, (_, high) in pairs],
    ]
    style = {"color": color, "marker": curve.marker, "markeredgecolor": "black", "markersize": 8}
    axis.errorbar(
        places,
        curve.values,
        yerr=error,
        capsize=3,
        linestyle=dash,
        label=curve.label,
        **style,  # type: ignore[arg-type]
    )
    empty = [i for i, clear in enumerate(curve.clear) if not clear]
    axis.plot(
        [places[i] for i in empty],
        [curve.values[i] for i in empty],
        linestyle="none",
        zorder=5,
        **(style | {"color": "white"}),  # type: ignore[arg-type]
    )
