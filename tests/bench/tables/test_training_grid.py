"""What training took is told with what the machine gave it."""

from __future__ import annotations

import dataclasses

from bench.findings.sections import views
from bench.layout import Marked
from bench.records import Record
from bench.tables.training_grid import training_grid
from tests.bench.hand_made import train


def with_threads(count: int, seed: int) -> Record:
    made = train("cookie", seed=seed)
    return dataclasses.replace(made, environment={**made.environment, "threads": {"torch": count}})


def test_times_of_seeds_with_other_threads_are_marked() -> None:
    (view,) = views([with_threads(2, 0), with_threads(1, 1), with_threads(1, 2)])
    ((row,),) = [training_grid(view).rows]
    assert isinstance(row["seconds"], Marked)
    assert row["seconds"].value == "61 s, 61 s, 61 s"
    assert "With 2, 1, 1 torch threads" in row["seconds"].remark
    (alike,) = views([with_threads(1, 0), with_threads(1, 1)])
    assert [row["seconds"] for row in training_grid(alike).rows] == ["61 s, 61 s"]
