"""An accuracy cell that was cut off goes on with its queries and scores, and leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from baselines.score_shards import ScoreShards
from baselines.single_stream import SingleStream
from bench.cells import accuracy, kept_scores, shortlists
from bench.material.workshop import Setup, Workshop
from bench.records import Cell
from bench.running.runner import Runner, RunOptions
from cookie.files import write_json
from cookie.interfaces import ImageState, TextState
from cookie.training.trainer import BEST

SYSTEMS = ("dual_stream", "cookie", "single_stream")


class CutError(Exception):
    """Ends a scoring from within."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with trained systems, and the records of cells that were left alone."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIE_HOME", str(folder))
        runner(folder / "alone").run([Cell("train", name, 0) for name in SYSTEMS])
    return folder


@pytest.fixture(autouse=True)
def _small(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COOKIE_HOME", str(home))
    monkeypatch.setattr(kept_scores, "ScoreShards", partial(ScoreShards, pairs=100))
    yield
    assert kept(home) == [], "a finished cell keeps nothing"


def runner(results: Path, seconds: float = 150.0) -> Runner:
    """Return a runner of the smallest section."""
    workshop = Workshop(Setup("scenes", "smoke", "cpu"))
    return Runner(workshop, results, RunOptions(accuracy_seconds=seconds))


def kept(home: Path) -> list[Path]:
    """Return what cells keep beside the weights."""
    return sorted(path for path in home.rglob("scores/*/*") if path.is_file())


def found(results: Path, cell: Cell) -> dict[str, Any]:
    """Return what a cell found, without times."""
    (path,) = results.rglob(cell.filename)
    content = json.loads(path.read_text())
    return {name: content[name] for name in ("values", "samples")}


class Counter:
    """Counts the batches that single-streams score, and may cut them off at one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches, self.last = 0, 10**9
        score = SingleStream.score_pairs

        def counted(model: SingleStream, images: ImageState, texts: TextState) -> Tensor:
            self.batches += 1
            if self.batches > self.last:
                raise CutError
            return score(model, images, texts)

        monkeypatch.setattr(SingleStream, "score_pairs", counted)


@pytest.mark.parametrize("seconds", [150.0, 0.02])
@pytest.mark.parametrize(
    ("kind", "system"),
    [("accuracy", "single_stream"), ("accuracy", "two_stage"), ("shortlists", "two_stage")],
)
def test_a_cell_that_was_cut_off_ends_as_one_that_was_not(
    kind: Any,  # noqa: ANN401 -- a kind of cell
    system: str,
    seconds: float,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    cell, module = Cell(kind, system, 0), {"accuracy": accuracy, "shortlists": shortlists}[kind]
    rates = iter([50_000.0, 50_000.0, 1.0])  # a rate measured again would ask other queries
    monkeypatch.setattr(module, "pair_rate", lambda *_: next(rates))
    cut = Counter(monkeypatch)
    runner(tmp_path / "alone", seconds).run([cell])
    asked = cut.batches
    cut.batches, cut.last = 0, asked // 2
    with pytest.raises(CutError):
        runner(tmp_path / "cut", seconds).run([cell])
    assert kept(home)
    cut.batches, cut.last = 0, 10**9
    runner(tmp_path / "cut", seconds).run([cell])
    assert 0 < cut.batches < asked
    assert found(tmp_path / "cut", cell) == found(tmp_path / "alone", cell)
    assert next(rates) == 1.0


def test_scores_depend_on_weights_data_precision_and_machine(home: Path, tmp_path: Path) -> None:
    made = runner(tmp_path)
    cell = Cell("accuracy", "single_stream", 0)

    def makings() -> dict[str, Any]:
        protocol = made.protocol(cell, [cell])
        shards = kept_scores.kept_scores(made.workshop, "accuracy", "single_stream", 0, protocol)
        return dict(shards.makings)

    before = makings()
    assert before == makings()
    assert json.loads(json.dumps(before)) == before
    assert before["dataset"] == made.workshop.dataset.sha256
    assert before["precision"] == made.workshop.config.train.precision
    assert {"cpu", "threads", "packages", "commit"} <= set(before["machine"])
    path = made.workshop.run_dir("single_stream", 0) / f"{BEST}.json"
    facts = path.read_text()
    write_json(path, {"sha256": "other"})
    try:
        after = makings()
    finally:
        path.write_text(facts)
    assert after["protocol"]["weights"] == ["other"]
    assert {name: after[name] for name in after if name != "protocol"} == {
        name: before[name] for name in before if name != "protocol"
    }
