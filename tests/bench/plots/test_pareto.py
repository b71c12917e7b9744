"""The Pareto plot: its front, its bytes, its markers."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bench.plots.figures import save
from bench.plots.pareto import Panel, Point, frontier, pareto

POINTS = (
    Point("dual-stream", "o", 0.002, 180.0, 150.0, 210.0),
    Point("COOKIE", "*", 0.003, 390.0, 350.0, 420.0),
    Point("single-stream", "s", 1.3, 405.0, 380.0, 430.0),
    Point("worse", "^", 2.0, 300.0, 290.0, 310.0),
)


def test_front_by_hand() -> None:
    assert [point.label for point in frontier(POINTS)] == ["dual-stream", "COOKIE", "single-stream"]


@given(st.lists(st.tuples(st.floats(1e-4, 10), st.floats(0, 600)), max_size=12))
def test_front_is_what_nothing_beats(pairs: list[tuple[float, float]]) -> None:
    points = [Point(str(i), "o", *pair, 0.0, 600.0) for i, pair in enumerate(pairs)]
    front = frontier(points)
    for point in front:
        beaten = [p for p in points if p.seconds < point.seconds and p.rsum >= point.rsum]
        assert not beaten
    for point in points:
        assert any(p.seconds <= point.seconds and p.rsum >= point.rsum for p in front)


def test_files_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save(pareto([Panel("title", POINTS)], "ms"), tmp_path / name)
    for suffix in (".svg", ".png"):
        first, second = (tmp_path / f"{name}{suffix}" for name in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()


def test_every_system_is_named_and_the_axis_is_logarithmic(tmp_path: Path) -> None:
    figure = pareto([Panel("one", POINTS), Panel("two", POINTS[:1])], "ms")
    assert len(figure.axes) == 2
    assert {axis.get_xscale() for axis in figure.axes} == {"log"}
    save(figure, tmp_path / "plot")
    text = (tmp_path / "plot.svg").read_text()
    for point in POINTS:
        assert point.label in text


def test_a_system_looks_the_same_in_all_panels() -> None:
    figure = pareto([Panel("one", POINTS), Panel("two", POINTS[1:])], "ms")
    one, two = ([c.lines[0].get_color() for c in axis.containers] for axis in figure.axes)
    assert one[1:] == two
    assert len({*one}) == len(POINTS)


def test_an_interval_beside_its_estimate_is_drawn() -> None:
    odd = Point("odd", "o", 0.001, 100.0, 101.0, 99.0)
    assert pareto([Panel("title", (odd,))], "ms").axes
