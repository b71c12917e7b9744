"""The load cell: servers on a made clock, whose rates theory knows, and a toy on a real one."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.cells import load
from bench.effort import TESTING, LoadEffort, load_effort_of
from bench.material.servers import DualServer, Queries
from bench.material.workshop import Setup, Workshop
from bench.measure.load import closed_loop
from bench.measure.sustained import highest_rate
from cookie.interfaces import TextBatch, TopK
from tests.bench.measure.test_load import Server
from tests.bench.measure.test_sustained import simple_queue_limit
from tests.bench.toy import ToyCorpus, ToyEncoder

CORPUS = ToyCorpus(images=9)
EFFORT = LoadEffort(search_s=1e9)


@pytest.fixture
def on_its_clock(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 -- a function
    """Let the loops run on a server's made clock."""

    def use(server: Server) -> Server:
        monkeypatch.setattr(load, "closed_loop", partial(closed_loop, clock=server.clock))
        monkeypatch.setattr(load, "highest_rate", partial(highest_rate, clock=server.clock))
        return server

    return use


def under_load(server: Server, effort: LoadEffort = EFFORT) -> tuple[dict[str, Any], Any]:
    return load.under_load(server, effort, "cpu")


def test_the_closed_loops_serve_what_the_server_can(on_its_clock: Any) -> None:  # noqa: ANN401
    """10 ms a call and 1 ms a query: 1 / 11 ms alone, 16 / 26 ms in a batch."""
    values, _ = under_load(on_its_clock(Server(0.010, 0.001)))
    closed = values["closed"]
    assert closed["one"]["rate"] == pytest.approx(1 / 0.011)
    assert closed["batched"]["rate"] == pytest.approx(16 / 0.026)
    assert [closed[name]["clients"] for name in ("one", "batched")] == [1, 16]
    assert closed["one"]["latency"]["p50"] == pytest.approx(0.011)
    assert closed["one"]["reason"] is None


def test_without_batching_the_rate_is_that_of_a_simple_queue(
    on_its_clock: Any,  # noqa: ANN401
) -> None:
    effort = LoadEffort(max_batch=1, steps=9, probe_s=60.0, longest_s=60.0, search_s=1e9)
    values, _ = under_load(on_its_clock(Server(0.01)), effort)
    assert values["open"]["rate"] == pytest.approx(simple_queue_limit(0.01, 0.1), rel=0.05)
    assert values["open"]["at_least"] is False


def test_the_rate_lies_below_the_capacity_and_its_probe_keeps_the_limit(
    on_its_clock: Any,  # noqa: ANN401
) -> None:
    values, samples = under_load(on_its_clock(Server(0.010, 0.001)))
    opened = values["open"]
    assert opened["rate"] < opened["capacity"] == values["closed"]["batched"]["rate"]
    kept = [p for p in opened["probes"] if p["offered_rate"] == opened["rate"]]
    assert kept[0]["latency"]["p99"] <= 0.1
    assert (opened["percentile"], opened["limit_s"]) == ("p99", 0.1)
    assert len(samples["open_microseconds"]) == len(opened["probes"])


def test_a_query_longer_than_the_limit_ends_the_search_before_it_begins(
    on_its_clock: Any,  # noqa: ANN401
) -> None:
    """319 ms, as a single-stream against a thousand images: seconds of work, and a reason."""
    server = on_its_clock(Server(0.0, 0.319))
    values, samples = under_load(server)
    assert values["open"] == {
        "rate": None,
        "reason": "One query alone takes 319 ms, so no rate of arrivals keeps p99 to 100 ms.",
    }
    assert values["closed"]["batched"]["rate"] is None
    assert "16 at once would take longer than the 2 s" in values["closed"]["batched"]["reason"]
    assert values["closed"]["one"]["rate"] == pytest.approx(1 / 0.319)
    assert server.time.seconds < 5.0
    assert list(samples["closed_microseconds"]) == ["one"]
    assert samples["open_microseconds"] == []


def test_batches_of_a_slow_server_are_measured_where_they_are_short_enough(
    on_its_clock: Any,  # noqa: ANN401
) -> None:
    values, _ = under_load(on_its_clock(Server(0.120, 0.0)))
    assert values["closed"]["batched"]["rate"] == pytest.approx(16 / 0.120)
    assert values["open"]["rate"] is None


def test_a_server_between_the_bounds_has_a_reason_as_a_sentence(
    on_its_clock: Any,  # noqa: ANN401
) -> None:
    effort = LoadEffort(max_batch=1, search_s=1e9)
    values, _ = under_load(on_its_clock(Server(0.05)), effort)
    assert values["open"]["reason"] == (
        "Too slow for a p99: 20 answers a second at most, and rates are tried from 30.6 on."
    )


@pytest.mark.parametrize("each", [0.0002, 0.002, 0.005, 0.02, 0.05, 0.09, 0.099, 0.3, 2.0])
@pytest.mark.parametrize("base", [0.0, 0.005, 0.1])
def test_no_server_takes_longer_than_a_minute_and_a_half(
    base: float,
    each: float,
    on_its_clock: Any,  # noqa: ANN401
) -> None:
    server = on_its_clock(Server(base, each))
    under_load(server, LoadEffort())
    assert server.time.seconds < 90.0


def test_the_record_is_json_and_its_raw_latencies_are_integers(
    on_its_clock: Any,  # noqa: ANN401
) -> None:
    made = under_load(on_its_clock(Server(0.01)), LoadEffort(max_batch=1))
    values, samples = json.loads(json.dumps(made))
    assert set(samples["closed_microseconds"]["one"]) == {10_000}
    assert len(samples["closed_microseconds"]["batched"]) >= 300
    for raw, probe in zip(samples["open_microseconds"], values["open"]["probes"], strict=True):
        assert len(raw) == probe["latency"]["n"] <= load.RAW
        assert max(raw, default=0) == pytest.approx(1e6 * (probe["latency"]["max"] or 0), abs=1)
    assert "latency_seconds" not in json.dumps(values)


def test_of_many_latencies_an_even_part_is_stored(on_its_clock: Any) -> None:  # noqa: ANN401
    values, samples = under_load(on_its_clock(Server(0.0, 0.0005)))
    told = [probe["latency"] for probe in values["open"]["probes"] if probe["stopped"] is None]
    kept = [
        raw
        for raw, probe in zip(samples["open_microseconds"], values["open"]["probes"], strict=True)
        if probe["stopped"] is None
    ]
    assert kept
    for raw, latency in zip(kept, told, strict=True):
        assert latency["n"] > 2 * load.RAW
        assert load.RAW / 2 < len(raw) <= load.RAW
        assert np.median(raw) == pytest.approx(1e6 * latency["p50"], rel=0.1)


class Noting:
    """A server that notes which captions it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[int, ...]]] = []

    def index(self, gallery: Any) -> None:  # noqa: ANN401 -- as the protocol has it
        """Take in nothing."""

    def search(self, queries: TextBatch, k: int) -> TopK:
        """Note the queries, without padding."""
        pairs = zip(queries.ids, queries.mask, strict=True)
        self.asked.append([tuple(ids[mask].tolist()) for ids, mask in pairs])
        size = len(self.asked[-1])
        return TopK(torch.zeros(size, k), torch.zeros(size, k, dtype=torch.int64))


def test_requests_are_the_queries_in_turn_however_many_are_served_at_once() -> None:
    server, queries = Noting(), Queries(CORPUS, 5)
    serve = load.serving(server, queries, 3)
    for count in (1, 3, 1, 4, 2):
        serve(count)
    assert [len(batch) for batch in server.asked] == [1, 3, 1, 4, 2]
    flat = [caption for batch in server.asked for caption in batch]
    one = [queries.one(turn) for turn in range(5)]
    expected = [tuple(text.ids[0][text.mask[0]].tolist()) for text in one]
    assert flat == [expected[turn % 5] for turn in range(11)]


def test_a_cell_on_a_real_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy system from the workshop to the record; how fast it is does not matter."""
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path))
    workshop = Workshop(Setup("scenes", "smoke", "cpu"))
    workshop.__dict__["test_pixels"] = CORPUS
    server = DualServer(ToyEncoder(), "float32")
    monkeypatch.setattr(load, "make_server", lambda *_: server)
    effort = load_effort_of("smoke").to_dict()
    protocol = {"neighbors": 3, "shortlist": 2, "effort": effort}
    values, samples = load.run(workshop, "cookie", 0, protocol)
    assert values["gallery"] == CORPUS.image_count
    assert server.embeddings.shape[0] == CORPUS.image_count
    assert all(values["closed"][name]["rate"] > 0 for name in ("one", "batched"))
    assert values["open"]["rate"] is not None or values["open"]["reason"]
    assert json.loads(json.dumps(samples)) == samples


def test_all_presets_share_the_limit_and_the_batch() -> None:
    efforts = [load_effort_of(name) for name in ("smoke", "tiny", "small", "paper")]
    assert all(
        (one.limit_s, one.max_batch) == (other.limit_s, other.max_batch)
        for one, other in pairwise(efforts)
    )
    assert all(one.probe_s >= TESTING * one.limit_s for one in efforts[1:])
    assert all(one.call_s >= one.limit_s * one.max_batch for one in efforts)


@pytest.mark.parametrize("name", ["smoke", "tiny", "small", "paper"])
def test_a_record_of_the_earlier_search_answers_no_cell_of_now(name: str) -> None:
    """A record is finished work only where its protocol is that of now, which says how it ran."""
    protocol = load_effort_of(name).to_dict()
    assert {"settle_s", "longest_s"} <= set(protocol), "of these the earlier ones know nothing"
