"""The cost of re-ranking at every length, on toy systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cells import shortlist_speed
from bench.effort import Effort
from bench.findings.shortlist_evidence import ALONE, WHOLE
from bench.material.servers import DualServer, PairServer, TwoStageServer
from bench.material.workshop import Setup, Workshop
from tests.bench.toy import ToyCorpus, ToyEncoder, ToyScorer

CORPUS = ToyCorpus(images=9)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path))
    made = Workshop(Setup("scenes", "smoke", "cpu"))
    made.effort = Effort(latency=5.0, rounds=5, part=0.01, parts=2)
    made.__dict__["test_pixels"] = CORPUS
    server = TwoStageServer(
        DualServer(ToyEncoder(), "float32"), PairServer(ToyScorer(), "float32"), 1
    )
    monkeypatch.setattr(shortlist_speed, "make_server", lambda *_: server)
    return made


def test_every_length_and_both_end_points(workshop: Workshop) -> None:
    values, raw = shortlist_speed.run(workshop, "two_stage", 0, {"neighbors": 3})
    assert list(values["systems"]) == [ALONE, "1", "2", "4", "8", WHOLE]
    assert all(found["p50"] > 0 for found in values["systems"].values())
    assert {len(times) for times in raw["together"].values()} == {5}
    assert list(values["full_evaluations"]) == ["1", "2", "4", "8"]


def test_what_does_not_depend_on_the_length_is_the_same(workshop: Workshop) -> None:
    values, _ = shortlist_speed.run(workshop, "two_stage", 0, {"neighbors": 3})
    evaluations = values["full_evaluations"].values()
    assert len({found["parts"]["encoding"] for found in evaluations}) == 1
    for found in evaluations:
        assert found["seconds"] == pytest.approx(sum(found["parts"].values()))
        assert found["pairs_per_second"] > 0
        assert found["images"] == 9
