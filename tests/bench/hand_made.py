"""Hand-made records: small worlds in which the right verdict is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.records import EVERY_SYSTEM, Cell, Kind, Record, Stamp
from cookie.config import preset

IMAGES, CAPTIONS = 40, 80
HARDWARE = {"slug": "two-core-test", "description": "2 cores of a test machine"}


def record(
    kind: Kind,
    system: str,
    values: Mapping[str, Any],
    *,
    seed: int = 0,
    samples: Mapping[str, Any] | None = None,
    **changes: Any,  # noqa: ANN401 -- fields of different types
) -> Record:
    """Return a record on ``scenes`` with the tiny preset; ``changes`` replace stamp fields."""
    config = preset("tiny")
    stamp = {
        "dataset": "scenes",
        "dataset_sha256": "ab" * 32,
        "preset": "tiny",
        "config_digest": config.digest(),
        "protocol": {"limit": None},
    }
    split = {"images": IMAGES, "captions": CAPTIONS, "captions_per_image": {"2": IMAGES}}
    return Record(
        cell=Cell(kind, system, seed),
        stamp=Stamp(**stamp | changes),
        regime="scratch",
        config=config.to_dict(),
        dataset_facts={"splits": {"train": split, "val": split, "test": split}},
        hardware=HARDWARE,
        environment={
            "python": "3.11",
            "packages": {"torch": "2.11"},
            "threads": {"torch": 2},
            "commit": {"sha": "0123456789abcdef", "dirty": False},
        },
        values=values,
        samples=samples or {},
        seconds=1.5,
        created="2026-01-01T00:00:00+00:00",
    )


def answers(ranks: Sequence[int], queries: Sequence[int], images: Sequence[int]) -> dict[str, Any]:
    """Return one direction's samples as an accuracy record holds them."""
    return {"query": list(queries), "image": list(images), "rank": list(ranks)}


def accuracy(
    system: str,
    image_ranks: Sequence[int],
    caption_ranks: Sequence[int],
    *,
    seed: int = 0,
    sampled: bool = False,
    **changes: Any,  # noqa: ANN401 -- fields of different types
) -> Record:
    """Return an accuracy record: rank of each image query, of each caption query (2 an image)."""
    samples = {
        "i2t": answers(image_ranks, range(len(image_ranks)), range(len(image_ranks))),
        "t2i": answers(
            caption_ranks, range(len(caption_ranks)), [c // 2 for c in range(len(caption_ranks))]
        ),
    }
    flat = {side: {"1": 50.0, "5": 60.0, "10": 70.0} for side in ("pessimistic", "optimistic")}
    values = {
        "metrics": {"i2t": flat, "t2i": flat},
        "sampled": sampled,
        "gallery": {"images": IMAGES, "captions": CAPTIONS},
    }
    return record("accuracy", system, values, seed=seed, samples=samples, **changes)


def uniform(system: str, good: int, **options: Any) -> Record:  # noqa: ANN401
    """Return accuracy where the first ``good`` of 40 images have rank 0, the others the last."""
    image_ranks = [0 if image < good else IMAGES - 1 for image in range(IMAGES)]
    return accuracy(system, image_ranks, [image_ranks[c // 2] for c in range(CAPTIONS)], **options)


def evaluation(
    seconds: float,
    *,
    spread: float = 0.0,
    parts: tuple[float, float] | None = None,
    extrapolated: bool = False,
    pairs_per_second: float | None = None,
) -> dict[str, Any]:
    """Return what an efficiency record says about the full evaluation."""
    encoding, ranking = parts or (seconds * 0.75, seconds * 0.25)
    return {
        "seconds": seconds,
        "repeats": [seconds - spread, seconds, seconds + spread],
        "extrapolated": extrapolated,
        "images": IMAGES,
        "captions": CAPTIONS,
        "parts": {"encoding": encoding, "ranking": ranking},
        "pairs_per_second": pairs_per_second,
    }


def efficiency(system: str, seconds: float, **options: Any) -> Record:  # noqa: ANN401
    """Return an efficiency record with CPU memory alone."""
    missing = {"peak_bytes": None, "reason": "cpu has no caching allocator"}
    memory = dict.fromkeys(("allocated", "reserved", "device_used"), missing)
    values = {
        "full_evaluation": evaluation(seconds, **options),
        "throughput": {"queries_per_second": 123.4, "batch_size": 32, "reason": None},
        "memory": {**memory, "peak_rss": {"peak_bytes": 300 * 2**20, "reason": None}},
        "cost": {"parameters": 1_234_567, "flops": 2.5e9, "share_of_compute": 0.25},
    }
    return record("efficiency", system, values)


def train(system: str, *, seed: int = 0) -> Record:
    """Return a training record."""
    values = {"steps": 600, "seconds": 61.0, "best_step": 500, "trainable_parameters": 1_000_000}
    return record("train", system, values, seed=seed)


def latency(medians: Mapping[str, float], gallery: int = IMAGES) -> Record:
    """Return the latency record of several systems; p99 is known for fast ones only."""
    systems = {
        name: {
            "n": 500 if p50 < 0.1 else 9,
            "p50": p50,
            "p95": _known(p50, 2),
            "p99": _known(p50, 3),
        }
        for name, p50 in medians.items()
    }
    return record("latency", EVERY_SYSTEM, {"systems": systems, "gallery": gallery})


def _known(p50: float, factor: int) -> float | None:
    return factor * p50 if p50 < 0.1 else None


def whole_section() -> list[Record]:
    """Return all records of table 2 with a clear order of the systems."""
    good = {"ridge_floor": 2, "dual_stream": 12, "cookie": 26, "single_stream": 27, "two_stage": 28}
    trained = ("dual_stream", "cookie", "single_stream")
    return [
        *(train(name) for name in trained),
        *(uniform(name, count) for name, count in good.items()),
        efficiency("dual_stream", 1.0),
        efficiency("cookie", 1.2),
        efficiency("single_stream", 4000.0, extrapolated=True, pairs_per_second=800.0),
        efficiency("single_stream_naive", 90000.0, extrapolated=True, pairs_per_second=30.0),
        efficiency("two_stage", 50.0, pairs_per_second=790.0),
        latency({"dual_stream": 0.002, "cookie": 0.003, "single_stream": 1.3, "two_stage": 0.09}),
    ]
