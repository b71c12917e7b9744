"""The latency cell on toy servers: turns, percentiles, the long run of the fast ones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cells import efficiency, latency
from bench.effort import Effort
from bench.material.servers import Queries
from bench.material.workshop import Setup, Workshop
from bench.measure.latency import InterleavedSamples, LatencySamples
from bench.measure.percentiles import required_samples
from cookie.errors import UserError
from cookie.interfaces import TextBatch, TopK
from tests.bench.toy import ToyCorpus

CORPUS = ToyCorpus(images=9)
PROTOCOL = {"systems": ["quick", "slow"], "neighbors": 3, "shortlist": 2}


class ToyServer:
    """Notes the queries it gets and takes its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[tuple[int, ...]] = []

    def index(self, gallery: Any) -> None:  # noqa: ANN401 -- as the protocol has it
        """Take in nothing."""

    def search(self, queries: TextBatch, k: int) -> TopK:
        """Note the query."""
        self.asked.append(tuple(queries.ids[0].tolist()))
        time.sleep(self.seconds)
        return TopK(torch.zeros(1, k), torch.zeros(1, k, dtype=torch.int64))


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> dict[str, ToyServer]:
    made = {"quick": ToyServer(0.0), "slow": ToyServer(0.02)}
    monkeypatch.setattr(latency, "make_server", lambda _workshop, name, *_: made[name])
    return made


def workshop(home: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("COOKIE_HOME", str(home))
    made = Workshop(Setup("scenes", "smoke", "cpu"))
    made.effort = Effort(latency=5.0, rounds=8)
    made.__dict__["test_pixels"] = CORPUS
    return made


def test_all_meet_the_same_queries_and_the_quick_ones_go_on(
    servers: dict[str, ToyServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, raw = latency.run(workshop(tmp_path, monkeypatch), "all", 0, PROTOCOL)
    quick, slow = servers["quick"].asked, servers["slow"].asked
    assert quick[: len(slow)] == slow
    assert len(quick) > 459 + len(slow)
    assert len(set(slow)) > 3
    assert values["gallery"] == CORPUS.image_count
    assert values["systems"]["slow"]["n"] == 8
    assert values["systems"]["slow"]["p99"] is None
    assert values["systems"]["quick"]["n"] == 459
    assert values["systems"]["quick"]["p99"] >= values["systems"]["quick"]["p50"]
    assert {name: len(times) for name, times in raw["together"].items()} == {"quick": 8, "slow": 8}
    assert list(raw["long"]) == ["quick"]


def test_what_fits_the_time_goes_on_the_fastest_first() -> None:
    medians = {"slow": 0.1, "middling": 0.02, "quick": 0.01}
    together = measured(medians)
    runs = dict.fromkeys(medians, lambda: None)
    needed = required_samples(0.99) / latency.SPARED
    for seconds, names in (
        (0.14, list(medians)),
        (0.12, ["middling", "quick"]),
        (0.015, ["quick"]),
    ):
        assert list(latency._fast(runs, together, needed * seconds)) == names
    assert latency._fast(runs, together, needed * 0.005) == {}


def measured(medians: Mapping[str, float]) -> InterleavedSamples:
    return InterleavedSamples(
        {
            name: LatencySamples((seconds,) * 5, "cpu", 1, seconds, None, "made")
            for name, seconds in medians.items()
        }
    )


def test_ratios_are_of_the_common_rounds(
    servers: dict[str, ToyServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, raw = latency.run(workshop(tmp_path, monkeypatch), "all", 0, PROTOCOL)
    found = {(r["numerator"], r["denominator"]): r["median"] for r in values["ratios"]}
    rounds = [
        slow / quick
        for slow, quick in zip(raw["together"]["slow"], raw["together"]["quick"], strict=True)
    ]
    assert found["slow", "quick"] == pytest.approx(torch.tensor(rounds).double().quantile(0.5))
    assert set(found) == {("slow", "quick"), ("quick", "slow")}


@pytest.mark.parametrize("compiled", [True, False])
def test_what_cannot_be_compiled_costs_its_own_row_alone(
    compiled: bool,
    servers: dict[str, ToyServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> None:
        raise UserError("torch could not compile it.")

    monkeypatch.setattr(servers["slow"], "index", fail)
    name = "cookie_compiled" if compiled else "cookie"
    made = {"quick": servers["quick"], name: servers["slow"]}
    monkeypatch.setattr(latency, "make_server", lambda _workshop, name, *_: made[name])
    protocol = PROTOCOL | {"systems": list(made)}
    if not compiled:
        with pytest.raises(UserError, match="could not compile"):
            latency.run(workshop(tmp_path, monkeypatch), "all", 0, protocol)
        return
    values, _ = latency.run(workshop(tmp_path, monkeypatch), "all", 0, protocol)
    assert list(values["systems"]) == ["quick"]
    assert values["left_out"] == {name: "torch could not compile it."}


def test_without_a_quick_one_there_is_no_long_run(
    servers: dict[str, ToyServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = PROTOCOL | {"systems": ["slow"]}
    values, raw = latency.run(workshop(tmp_path, monkeypatch), "all", 0, protocol)
    assert set(raw) == {"together"}
    assert list(values["systems"]) == ["slow"]
    assert servers["quick"].asked == []


def test_throughput_tries_only_batches_that_take_reasonably_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = workshop(tmp_path, monkeypatch)
    made.effort = Effort(call=1.0, stretch=0.0, repetitions=2)
    found = [
        efficiency._throughput(made, ToyServer(0.0), Queries(CORPUS), {"neighbors": 3}, seconds)
        for seconds in (0.01, 5.0)
    ]
    sizes = [[point["batch_size"] for point in one["curve"]["points"]] for one in found]
    assert sizes == [[1, 8, 64], [1]]
    assert all(one["queries_per_second"] > 0 and one["reason"] is None for one in found)
