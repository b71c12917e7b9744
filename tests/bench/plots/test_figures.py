"""Figures: the looks of labels, an empty figure, and numbers on a short axis."""

from __future__ import annotations

import pytest

from bench.plots.figures import COLORS, STYLES, blank, few_minor_labels, looks


def test_a_label_looks_the_same_wherever_it_stands() -> None:
    found = looks([["a", "b"], ["b", "c", "a"]])
    assert list(found) == ["a", "b", "c"]
    assert found["c"] == (COLORS[2], STYLES[2])


def test_more_labels_than_colors_begin_again() -> None:
    names = [str(number) for number in range(len(COLORS) + 1)]
    found = looks([names], ["-", "--"])
    assert found[names[-1]][0] == COLORS[0]
    assert {style for _, style in found.values()} == {"-", "--"}


def test_an_empty_figure_has_its_size() -> None:
    assert blank(3.0, 2.0).get_size_inches().tolist() == [3.0, 2.0]


@pytest.mark.parametrize(("end", "shown"), [(20.0, ["2", "5", ""]), (1000.0, ["", "", ""])])
def test_minor_labels_only_on_a_short_axis(end: float, shown: list[str]) -> None:
    axis = blank(3.0, 2.0).subplots()
    axis.set_xlim(1.0, end)
    assert [few_minor_labels(axis)(value, 0.0) for value in (2.0, 5.0, 3.0)] == shown
