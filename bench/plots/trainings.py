"""Loss and validation over the steps of trainings, legible without color."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.findings.histories import History, history_of
from bench.findings.sections import View
from bench.plots.figures import blank, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSS, SCORE = "training loss", "validation RSUM"
MARKERS = 8
"""Markers along a loss curve, about."""
PAIRS = 2
"""Rows of the ablation beside each other."""
ALONE = {"color": "black", "linestyle": "-", "marker": "o"}
CAPTION = (
    "How the rows were trained: the loss, a mean over the steps between two lines of the log, and "
    "RSUM on the validation split, by which the weights were chosen (the ring). Losses of "
    "different systems are different sums: their shapes can be compared, their heights cannot. "
    "A pair scorer validates on a sample of the queries that a dual encoder answers. Nothing is "
    "drawn of trainings whose records hold no course."
)
REFERENCE = {"color": "#8A8A8A", "linestyle": "--", "marker": "x"}


@dataclass(frozen=True, slots=True)
class Trainings:
    """The trainings of one system, one a seed. Attributes: label: in the drawing."""

    label: str
    marker: str
    histories: tuple[History, ...]


@dataclass(frozen=True, slots=True)
class TrainingPanel:
    """One section's trainings under its title."""

    title: str
    trainings: tuple[Trainings, ...]


def trainings_of(view: View, name: str, label: str, marker: str = "o") -> Trainings:
    """Return what the section's records hold of a system's trainings."""
    found = (history_of(record) for record in view.of("train", name))
    return Trainings(label, marker, tuple(history for history in found if history is not None))


def together(panels: Sequence[TrainingPanel]) -> Figure:
    """Return all trainings of a section in two panels, loss and validation; a row a section."""
    figure = blank(10.5, 3.8 * len(panels))
    axes = figure.subplots(len(panels), 2, squeeze=False, sharex="row")
    styles = looks([training.label for training in panel.trainings] for panel in panels)
    offsets = {label: place / len(styles) for place, label in enumerate(styles)}
    for (loss, score), panel in zip(axes, panels, strict=True):
        _label(loss, LOSS, panel.title)
        _label(score, SCORE, panel.title)
        for training in panel.trainings:
            color, style = styles[training.label]
            look = {"color": color, "linestyle": style, "marker": training.marker}
            _draw(loss, score, training, look, offsets[training.label])
        if min(min(h.losses) for t in panel.trainings for h in t.histories) > 0:
            _logarithmic(loss)
        score.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def one_by_one(panels: Sequence[TrainingPanel]) -> Figure:
    """Return every training in two small panels of its own, the panel's first one behind it."""
    counts = [-(-(len(panel.trainings) - 1) // PAIRS) for panel in panels]
    figure = blank(11.0, sum(0.6 + 1.9 * count for count in counts))
    parts = figure.subfigures(len(panels), 1, height_ratios=counts, squeeze=False)[:, 0]
    for part, panel, count in zip(parts, panels, counts, strict=True):
        reference, *others = panel.trainings
        part.suptitle(panel.title + f"; dashed: {reference.label}" * bool(reference.histories))
        axes = part.subplots(count, 2 * PAIRS, squeeze=False, sharex=True)
        places = [row[i : i + 2] for row in axes for i in range(0, 2 * PAIRS, 2)]
        for (loss, score), training in zip(places, others, strict=False):
            if score is not places[0][1]:
                score.sharey(places[0][1])
            _draw(loss, score, reference, REFERENCE)
            _draw(loss, score, training, ALONE)
            loss.set_title(f"{training.label}: loss", fontsize=8)
            score.set_title("validation RSUM", fontsize=8)
        for unused in (axis for pair in places[len(others) :] for axis in pair):
            unused.set_axis_off()
        for last in (axis for pair in places[: len(others)][-PAIRS:] for axis in pair):
            last.set_xlabel("step")
            last.tick_params(labelbottom=True)
    return figure


def _label(axis: Axes, what: str, title: str) -> None:
    axis.set(xlabel="step", ylabel=what, title=title)
    axis.title.set_fontsize("medium")


def _logarithmic(axis: Axes) -> None:
    """Give losses of different sizes the same room, with numbers to read them by."""
    from matplotlib.ticker import LogLocator

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("")


def _draw(
    loss: Axes, score: Axes, training: Trainings, look: dict[str, Any], offset: float = 0.0
) -> None:
    """Draw both curves of every seed, the first one named; a ring where the weights were kept."""
    for seed, history in enumerate(training.histories):
        style = look | {"label": "_" if seed else training.label, "linewidth": 1.3}
        style |= {"markeredgecolor": None if look["marker"] in "x+" else "black", "markersize": 5}
        every = max(1, len(history.steps) // MARKERS)
        loss.plot(history.steps, history.losses, markevery=(int(offset * every), every), **style)
        score.plot(history.validation_steps, history.scores, **style)
        score.plot(*_best(history), "o", markersize=11, markerfacecolor="none", color="black")
    for axis in (loss, score):
        axis.grid(visible=True, which="major", color="#DDDDDD")
        axis.set_axisbelow(True)


def _best(history: History) -> tuple[list[float], list[float]]:
    """Return where the weights were kept."""
    scores = dict(zip(history.validation_steps, history.scores, strict=True))
    return [history.best_step], [scores[history.best_step]]
