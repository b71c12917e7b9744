"""The growth cell on toy systems: whole and part galleries, storage, raw times, memory."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.cells import growth
from bench.cells.gallery_rates import affordable_images, rising_batches
from bench.effort import SMOKE_GROWTH, GrowthEffort, growth_effort_of
from bench.material.servers import DualServer, PairServer, Queries, TwoStageServer
from bench.material.workshop import Setup, Workshop
from bench.measure.memory import MemoryColumn, MemoryUse
from bench.measure.peaks import MachinePeaks
from bench.measure.timer import Timer
from cookie.interfaces import ImageState, TextState
from tests.bench.toy import WIDTH, ToyCorpus, ToyEncoder, ToyScorer

CORPUS = ToyCorpus(images=9)
SYSTEMS = ["dual_stream", "cookie", "single_stream", "two_stage"]
READ = MemoryColumn(peak_bytes=123)
EFFORT = dataclasses.replace(SMOKE_GROWTH, rounds=6, rounds_s=20.0, long_s=0.0)


class SlowScorer(ToyScorer):
    """Takes a tenth of a millisecond a pair."""

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Return (P,)."""
        time.sleep(1e-4 * len(images.tokens))
        return super().score_pairs(images, texts)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path))
    made = Workshop(Setup("scenes", "smoke", "cpu"))
    head = dataclasses.replace(made.config.head, embedding=WIDTH)
    made.config = dataclasses.replace(made.config, head=head)
    made.__dict__["test_pixels"] = CORPUS
    monkeypatch.setattr(growth, "make_server", server)
    monkeypatch.setattr(growth, "fresh_memory", lambda *_, **__: MemoryUse(READ, READ, READ, READ))
    peaks = MachinePeaks("cpu", {}, copy_bytes=1e9)
    monkeypatch.setattr(growth, "measure_peaks", lambda _: peaks)
    return made


def server(_: Workshop, name: str, seed: int, shortlist: int) -> Any:  # noqa: ANN401
    dual, pair = DualServer(ToyEncoder(), "float32"), PairServer(SlowScorer(), "float32")
    made = {"single_stream": pair, "two_stage": TwoStageServer(dual, pair, shortlist)}
    return made.get(name, dual)


def protocol(gallery: int, effort: GrowthEffort = EFFORT) -> dict[str, Any]:
    return {
        "gallery": gallery,
        "neighbors": 3,
        "shortlist": 4,
        "systems": SYSTEMS,
        "effort": effort.to_dict(),
    }


def test_a_small_gallery_is_measured_whole(workshop: Workshop) -> None:
    values, raw = growth.run(workshop, "all", 0, protocol(50))
    assert (values["gallery"], values["width"]) == (50, WIDTH)
    assert values["storage"] == {"dtype": "float32", "place": "memory"}
    assert list(values["systems"]) == SYSTEMS
    for name in SYSTEMS:
        found = values["systems"][name]
        assert not found["extrapolated"]
        assert found["n"] == 6
        assert found["p50"] == pytest.approx(float(np.median(raw["together"][name])))
        assert found["throughput"]["queries_per_second"] > 0
    assert values["systems"]["single_stream"]["p50"] > 50e-4
    assert values["systems"]["cookie"]["gallery_bytes"] == 50 * WIDTH * 4
    assert values["systems"]["cookie"]["memory"]["peak_rss"]["peak_bytes"] == 123
    assert values["systems"]["two_stage"]["memory"]["peak_rss"]["peak_bytes"] is None
    assert set(raw) == {"together"}


def test_what_does_not_fit_is_measured_in_part_and_scaled(workshop: Workshop) -> None:
    effort = dataclasses.replace(EFFORT, rounds_s=0.4, part_s=0.01, call_s=0.02)
    values, raw = growth.run(workshop, "all", 0, protocol(5000, effort))
    found = values["systems"]["single_stream"]
    assert found["extrapolated"]
    assert 20 <= found["measured_images"] <= 110  # a tenth of a millisecond each, in 10 ms
    factor = 5000 / found["measured_images"]
    assert found["p50"] == pytest.approx(
        factor * float(np.median(raw["together"]["single_stream"]))
    )
    assert 0.5 <= found["p50"] < 5.0
    assert not values["systems"]["cookie"]["extrapolated"]
    rate = found["throughput"]
    assert rate["extrapolated"]
    assert rate["queries_per_second"] == pytest.approx(
        rate["curve"]["items_per_second"] * rate["measured_images"] / 5000
    )
    rounds = [
        cookie / (single * factor)
        for cookie, single in zip(
            raw["together"]["cookie"], raw["together"]["single_stream"], strict=True
        )
    ]
    assert values["ratios"]["cookie"]["median"] == pytest.approx(float(np.median(rounds)))
    interval = values["ratios"]["cookie"]["interval"]
    if interval is not None:
        assert interval["low"] <= values["ratios"]["cookie"]["median"] <= interval["high"]


def test_the_share_of_bandwidth_is_of_reading_the_gallery_once(workshop: Workshop) -> None:
    values, _ = growth.run(workshop, "all", 0, protocol(50))
    found = values["search"]
    assert found["bound_seconds"] == pytest.approx(50 * WIDTH * 4 / 1e9)
    assert found["share_of_bandwidth"] == pytest.approx(found["bound_seconds"] / found["p50"])


def test_the_quick_ones_go_on_until_a_p99(workshop: Workshop) -> None:
    effort = dataclasses.replace(EFFORT, long_s=3.0)
    values, raw = growth.run(workshop, "all", 0, protocol(400, effort))
    assert values["search"]["n"] == 459
    assert values["search"]["p99"] is not None
    assert "single_stream" not in raw["long"]
    assert values["systems"]["single_stream"]["p99"] is None


def test_a_gallery_that_fits_nowhere_is_said_so(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "free_memory", lambda _: 1000)
    monkeypatch.setattr(growth, "free_disk", lambda _: 1000)
    values, raw = growth.run(workshop, "all", 0, protocol(50))
    assert "fits neither the memory" in values["reason"]
    assert raw == {}


def test_a_gallery_on_disk_is_searched_and_has_no_bound(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "free_memory", lambda _: 1000)
    values, _ = growth.run(workshop, "all", 0, protocol(500))
    assert values["storage"] == {"dtype": "float16", "place": "disk"}
    assert values["search"]["share_of_bandwidth"] is None
    assert values["search"]["gallery_bytes"] == 500 * WIDTH * 2
    assert not list(workshop.cache.glob("gallery-*"))


class Clock:
    """Advances by what the last run cost."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        """Return nanoseconds."""
        return self.now


@pytest.mark.parametrize(
    ("most", "part", "expected"),
    [(10.0, 1.0, 10_000), (9.99, 1.0, 1_000), (9.99, 0.0005, 1), (1.0, 100.0, 10_000)],
)
def test_as_many_images_as_fit(most: float, part: float, expected: int) -> None:
    """A millisecond an image, ten thousand images."""
    clock = Clock()

    def ask(images: int) -> Any:  # noqa: ANN401 -- a call
        def run() -> None:
            clock.now += images * 1_000_000

        return run

    timer = Timer(lambda: None, clock)
    found = affordable_images(ask, 10_000, timer, most_s=most + 1e-9, part_s=part + 1e-9)
    assert found == expected


def test_no_larger_batch_is_tried_once_a_call_is_slow() -> None:
    effort = GrowthEffort(call_s=0.01, repetitions=2, stretch_s=0.0)
    asked: list[int] = []

    def prepare(batch: Any) -> Any:  # noqa: ANN401 -- a call
        asked.append(len(batch))
        return lambda: time.sleep(0.002 * len(batch))

    curve = rising_batches(prepare, Queries(CORPUS), effort, torch.device("cpu"))
    assert asked == [1, 8]
    assert len(curve.points) == 2
    assert curve.best is not None


def test_rising_batches_end_with_the_half_that_fits() -> None:
    effort = GrowthEffort(call_s=10.0, repetitions=2, stretch_s=0.0)

    def prepare(batch: Any) -> Any:  # noqa: ANN401 -- a call
        if len(batch) > 40:
            raise MemoryError
        return lambda: None

    curve = rising_batches(prepare, Queries(CORPUS), effort, torch.device("cpu"))
    sizes = [(point.batch_size, bool(point.seconds)) for point in curve.points]
    assert sizes == [(1, True), (8, True), (64, False), (32, True)]


def test_efforts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COOKIE_BENCH", raising=False)
    assert growth_effort_of("smoke").rounds_s < growth_effort_of("tiny").rounds_s < 600
    monkeypatch.setenv("COOKIE_BENCH", "full")
    assert growth_effort_of("tiny").rounds_s == 600
    assert growth_effort_of("smoke") == SMOKE_GROWTH
