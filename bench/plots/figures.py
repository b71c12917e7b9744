"""Figures as SVG and PNG, and the looks that tell systems apart without color."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
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


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def looks(
    panels: Iterable[Iterable[str]], styles: Sequence[Any] = STYLES
) -> dict[str, tuple[str, Any]]:
    """Return color and line style of each label, the same in all ``panels``."""
    labels = dict.fromkeys(chain.from_iterable(panels))
    return dict(zip(labels, zip(cycle(COLORS), cycle(styles), strict=False), strict=False))


def few_minor_labels(axis: Axes) -> Callable[[float, float], str]:
    """Label 2 and 5 of a decade where the axis spans less than two of them."""

    def label(value: float, _: float) -> str:
        low, high = axis.get_xlim()
        leading = f"{value:e}"[0]
        return f"{value:g}" if high / low < 100 and leading in "25" else ""

    return label


def save(figure: Figure, stem: Path) -> None:
    """Write ``stem``.svg and ``stem``.png, the same bytes for the same figure."""
    import matplotlib as mpl

    figure.draw_without_rendering()
    figure.set_layout_engine(None)  # what was laid out once is the same in both files
    with mpl.rc_context({"svg.hashsalt": "cookie", "svg.fonttype": "none"}):
        for suffix, metadata in ((".svg", {"Date": None}), (".png", {"Software": None})):
            image = io.BytesIO()
            figure.savefig(image, format=suffix[1:], dpi=150, metadata=metadata)
            with replacing(stem.with_suffix(suffix)) as temporary:
                temporary.write_bytes(image.getvalue())
