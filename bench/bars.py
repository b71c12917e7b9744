"""Bars with intervals, told apart by hatching and labels and not by color."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_HEIGHT = 0.34
"""Inches of a bar with the space around it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row.

    Attributes:
        label: beside it. value: its length. low, high: the interval.
        hatched: whether it is set apart from the others.
    """

    label: str
    value: float
    low: float
    high: float
    hatched: bool = False


@dataclass(frozen=True, slots=True)
class BarPanel:
    """One section's bars, top to bottom, under a title."""

    title: str
    bars: tuple[Bar, ...]


def bar_chart(panels: Sequence[BarPanel], x_label: str) -> Figure:
    """Return one panel a section; every bar begins at 0, so that lengths can be compared."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [1.1 + ROW_HEIGHT * len(panel.bars) for panel in panels]
    figure = Figure(figsize=(8.5, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        _draw(axis, panel, x_label)
    return figure


def _draw(axis: Axes, panel: BarPanel, x_label: str) -> None:
    for row, bar in enumerate(panel.bars):
        error = [[max(0.0, bar.value - bar.low)], [max(0.0, bar.high - bar.value)]]
        axis.barh(
            row,
            bar.value,
            xerr=error,
            height=0.66,
            color="#DDDDDD" if bar.hatched else "#FFFFFF",
            edgecolor="black",
            hatch="///" if bar.hatched else None,
            capsize=3,
        )
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(panel.bars)), [bar.label for bar in panel.bars])
    axis.set(xlabel=x_label, title=panel.title)
    axis.grid(visible=True, axis="x", color="#DDDDDD")
    axis.set_axisbelow(True)
    axis.margins(y=0.02)
    axis.invert_yaxis()
