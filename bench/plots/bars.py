"""Bars with intervals, told apart by hatching and labels and not by color."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from bench.plots.figures import blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_HEIGHT = 0.34
"""Inches of a bar with the space around it."""
FAR = 6.0
"""A bar that reaches this many times as far as the median one ends at the plot's edge."""
VALUE_SPACE, MARGIN = 0.25, 0.03
"""Of the other bars' width: beside them for the value of one that is cut, and where none is."""


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

    @property
    def reach(self) -> float:
        """How far from 0 the bar and its interval go."""
        return max(abs(self.value), abs(self.low), abs(self.high))


@dataclass(frozen=True, slots=True)
class BarPanel:
    """One section's bars, top to bottom, under a title."""

    title: str
    bars: tuple[Bar, ...]


def bar_chart(panels: Sequence[BarPanel], x_label: str) -> Figure:
    """Return one panel a section; every bar begins at 0, so that lengths can be compared.

    One that would leave the others no room is cut at the edge and bears its value.
    """
    heights = [1.1 + ROW_HEIGHT * len(panel.bars) for panel in panels]
    figure = blank(8.5, sum(heights))
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
    _cut(axis, panel.bars)


def _cut(axis: Axes, bars: Sequence[Bar]) -> None:
    """Leave the axis to the bars that are not far longer than the others."""
    most = FAR * median(bar.reach for bar in bars)
    near = [bar for bar in bars if bar.reach <= most]
    if len(near) == len(bars):
        return
    ends = [end for bar in near for end in (0.0, bar.value, bar.low, bar.high)]
    beyond = {bar.value > 0 for bar in bars if bar.reach > most}
    width = max(ends) - min(ends)
    left = min(ends) - width * (VALUE_SPACE if False in beyond else MARGIN)
    right = max(ends) + width * (VALUE_SPACE if True in beyond else MARGIN)
    axis.set_xlim(left, right)
    for row, bar in enumerate(bars):
        if bar.reach > most:
            _label(axis, row, bar, right if bar.value > 0 else left)


def _label(axis: Axes, row: int, bar: Bar, edge: float) -> None:
    """Write at the edge how far a bar goes on."""
    text = f"{bar.value:.1f} \u25b8" if bar.value > 0 else f"\u25c2 {bar.value:.1f}"
    side = "right" if bar.value > 0 else "left"
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axis.text(edge, row, f" {text} ", ha=side, va="center", bbox=box)
