"""Curves of trainings go through their values and are told apart without color."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.lines import Line2D

from bench.findings.histories import History
from bench.findings.sections import View, views
from bench.plots.trainings import TrainingPanel, Trainings, one_by_one, together, trainings_of
from bench.tables import tables
from tests.bench.hand_made import train, uniform

HISTORY = History([10, 20, 30], [4.0, 2.0, 1.0], [15, 30], [80.0, 90.0], 30)


def training(name: str, seeds: int = 1, **changes: object) -> Trainings:
    return Trainings(name, "o", (replace(HISTORY, **changes),) * seeds)


def curve(lines: list[Line2D], name: str) -> Line2D:
    (found,) = (line for line in lines if line.get_label() == name)
    return found


def section(*names: str) -> View:
    records = [made for n in names for made in (train(n, course=True), uniform(n, 5))]
    (only,) = views(records)
    return only


def test_curves_go_through_their_values() -> None:
    panel = TrainingPanel("title", (training("one"), training("two", losses=[6.0, 5.0, 4.0])))
    loss, score = together([panel]).axes
    assert list(curve(loss.get_lines(), "two").get_ydata()) == [6.0, 5.0, 4.0]
    assert list(curve(score.get_lines(), "one").get_xdata()) == [15, 30]
    assert list(curve(score.get_lines(), "one").get_ydata()) == [80.0, 90.0]
    assert loss.get_yscale() == "log"
    legend = score.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]


def test_a_loss_of_zero_is_drawn_on_a_linear_axis() -> None:
    panel = TrainingPanel("title", (training("one", losses=[1.0, 0.5, 0.0]),))
    assert together([panel]).axes[0].get_yscale() == "linear"


def test_the_ring_is_where_the_weights_were_kept() -> None:
    panel = TrainingPanel("title", (training("one", best_step=15),))
    rings = [line for line in together([panel]).axes[1].get_lines() if line.get_markersize() > 9]
    assert [(list(ring.get_xdata()), list(ring.get_ydata())) for ring in rings] == [([15], [80.0])]


def test_systems_differ_in_more_than_color() -> None:
    panel = TrainingPanel("title", tuple(training(str(i)) for i in range(6)))
    lines = [curve(together([panel]).axes[0].get_lines(), str(i)) for i in range(6)]
    assert len({str(line._dash_pattern) for line in lines}) == 6


def test_every_seed_is_drawn_and_named_once() -> None:
    panel = TrainingPanel("title", (training("one", seeds=3),))
    loss = together([panel]).axes[0]
    assert len(loss.get_lines()) == 3
    assert len(loss.get_legend_handles_labels()[1]) == 1


@pytest.mark.parametrize("others", [1, 2, 3, 6])
def test_every_row_has_two_panels_with_the_reference_behind(others: int) -> None:
    rows = tuple(training(f"row {i}", losses=[i + 3.0, 2, 1]) for i in range(others))
    figure = one_by_one([TrainingPanel("title", (training("COOKIE"), *rows))])
    used = [axis for axis in figure.axes if axis.axison]
    assert len(used) == 2 * others
    for number, axis in enumerate(used[::2]):
        assert axis.get_title() == f"row {number}: loss"
        reference, own = (list(line.get_ydata()) for line in axis.get_lines())
        assert reference == HISTORY.losses
        assert own == [number + 3.0, 2, 1]
    labeled = [axis for axis in used if axis.get_xlabel() == "step"]
    assert len(labeled) == min(2 * others, 4)


def test_records_give_their_trainings() -> None:
    view = section("cookie", "dual_stream")
    assert len(trainings_of(view, "cookie", "COOKIE").histories) == 1
    assert trainings_of(view, "single_stream", "single-stream").histories == ()


def test_table_1_draws_the_systems_and_table_5_the_rows() -> None:
    view = section("dual_stream", "cookie", "unshared")
    systems, rows = (tables[number].training([view]) for number in ("1", "5"))
    assert systems is not None
    assert rows is not None
    named = systems.axes[0].get_legend_handles_labels()[1]
    assert named == ["dual-stream", "COOKIE"]
    titles = [axis.get_title() for axis in rows.axes if axis.axison][::2]
    assert titles == ["linear dual-stream: loss", "unshared, equal depth: loss"]


def test_nothing_is_drawn_of_old_records() -> None:
    (view,) = views([train("cookie"), train("unshared"), uniform("unshared", 5)])
    assert tables["1"].training([view]) is None
    assert tables["5"].training([view]) is None
    assert tables["2"].training([view]) is None
