"""Hand-made records: small worlds in which the right verdict is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.records import EVERY_SYSTEM, Cell, Kind, Record, Stamp
from cookie.presets import preset

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


def evaluations(
    rounds: Mapping[str, Sequence[float]],
    *,
    left_out: Mapping[str, str] | None = None,
    extrapolated: bool = True,
) -> Record:
    """Return full evaluations in turns: seconds of each round by system, 3/4 of them encoding.

    Pair scorers are extrapolated, unless told otherwise.
    """
    systems, raw = dict[str, Any](), dict[str, Any]()
    for name, seconds in rounds.items():
        pair = extrapolated and name.startswith("single_stream")
        middle = float(np.median(seconds))
        rate = IMAGES * CAPTIONS / (0.25 * middle) if pair else None
        found = evaluation(middle, extrapolated=pair, pairs_per_second=rate)
        systems[name] = found | {"repeats": list(seconds)}
        raw[name] = {
            "encoding": [0.75 * each for each in seconds],
            "ranking": [0.25 * each for each in seconds],
        }
    values = {
        "rounds": len(next(iter(rounds.values()))),
        "systems": systems,
        "left_out": dict(left_out or {}),
    }
    return record("evaluations", EVERY_SYSTEM, values, samples=raw)


def train(system: str, *, seed: int = 0, course: bool = False) -> Record:
    """Return a training record, with the course it took if ``course``."""
    values = {"steps": 600, "seconds": 61.0, "best_step": 500, "trainable_parameters": 1_000_000}
    return record("train", system, values, seed=seed, samples=samples() if course else {})


def samples() -> dict[str, Any]:
    """Return the course of a training of 600 steps that was best after 500."""
    steps, judged = list(range(50, 601, 50)), list(range(100, 601, 100))
    log = {"step": steps, "loss": [5.0 / (1 + step / 100) for step in steps]}
    return {
        "log": log | {"rate_0": [1e-4] * len(steps)},
        "validation": {"step": judged, "score": [step - max(0, step - 500) * 2 for step in judged]},
    }


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


def load(system: str, one: float, batched: float | None, highest: float | None) -> Record:
    """Return the load record of a system: queries a second, None where there is a reason."""

    def rate(value: float | None, reason: str) -> dict[str, Any]:
        return {"rate": value, "reason": None if value else reason}

    def probe(offered: float, p99: float) -> dict[str, Any]:
        return {"offered_rate": offered, "seconds": 6.0, "latency": {"n": 600, "p99": p99}}

    tried = [probe(highest, 0.09), probe(1.1 * highest, 0.2)] if highest else []
    values = {
        **{"gallery": IMAGES, "limit_s": 0.1, "max_batch": 16},
        "closed": {"one": rate(one, ""), "batched": rate(batched, "A batch takes too long.")},
        "open": rate(highest, "One query alone takes 319 ms.")
        | {"at_least": False, "limit_s": 0.1, "percentile": "p99", "probes": tried},
    }
    return record("load", system, values)


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


def growth(gallery: int, medians: Mapping[str, float], *, extrapolated: bool = False) -> Record:
    """Return a growth record; the single-stream may be extrapolated from a tenth of the gallery."""
    memory = {"peak_bytes": 2**29, "reason": None}
    missing = {"peak_bytes": None, "reason": "cpu has no caching allocator"}
    reference = medians["single_stream"]

    def times(name: str, p50: float) -> dict[str, Any]:
        part = extrapolated and name == "single_stream"
        return {
            **{"n": 9, "p50": p50, "p95": None, "p99": None},
            "extrapolated": part,
            "measured_images": gallery // 10 if part else gallery,
            "gallery_bytes": 2048 * gallery,
            "throughput": {
                **{"queries_per_second": 2 / p50, "batch_size": 8, "reason": None},
                "extrapolated": part,
            },
            "memory": {"peak_rss": memory, "allocated": missing},
        }

    values = {
        "gallery": gallery,
        "width": 512,
        "storage": {"dtype": "float32", "place": "memory"},
        "systems": {name: times(name, p50) for name, p50 in medians.items()},
        "search": {
            **{"n": 500, "p50": gallery * 1e-8, "p95": gallery * 2e-8, "p99": gallery * 3e-8},
            **{"gallery_bytes": 2048 * gallery, "share_of_bandwidth": 0.5},
        },
        "ratios": {
            name: {"median": p50 / reference}
            for name, p50 in medians.items()
            if name != "single_stream"
        },
    }
    return _at(gallery, values)


def unfitting_growth(gallery: int) -> Record:
    """Return the growth record of a gallery that fitted nowhere."""
    return _at(gallery, {"gallery": gallery, "reason": "The gallery fits neither."})


def _at(gallery: int, values: Mapping[str, Any]) -> Record:
    made = record("growth", EVERY_SYSTEM, values)
    return dataclasses.replace(made, cell=Cell("growth", EVERY_SYSTEM, 0, gallery))


def shortlists(good: Mapping[str, int], *, seed: int = 0, asked: int = IMAGES) -> Record:
    """Return a shortlists record: of every 40 images, how many are found at each length.

    Args:
        good: length, or ``alone`` or ``whole``, to how many are found at rank 0; the rest at 99.
        seed: of the training.
        asked: images that are asked against the whole gallery; the others lack ``whole``.
    """
    parts = [range(asked), range(asked, IMAGES)]
    groups = [_group(part, good) for part in parts if len(part)]
    for group in groups[1:]:
        for direction in group.values():
            del direction["rank"]["whole"]
    lengths = [int(name) for name in good if name.isdigit()]
    values = {"lengths": lengths, "sampled": asked < IMAGES}
    return record("shortlists", "two_stage", values, seed=seed, samples={"groups": groups})


def _group(images: range, good: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    captions = [caption for image in images for caption in (2 * image, 2 * image + 1)]

    def ranks(queries: Sequence[int], of: int) -> dict[str, list[int]]:
        return {name: [0 if q // of < n else 99 for q in queries] for name, n in good.items()}

    return {
        "i2t": {"query": list(images), "image": list(images), "rank": ranks(images, 1)},
        "t2i": {
            **{"query": captions, "image": [c // 2 for c in captions]},
            "rank": ranks(captions, 2),
        },
    }


def shortlist_speed(medians: Mapping[str, float]) -> Record:
    """Return what queries and full evaluations take at every length."""
    times = latency(medians).values["systems"]
    evaluations = {name: evaluation(1000 * p50) for name, p50 in medians.items() if name.isdigit()}
    values = {"systems": times, "gallery": IMAGES, "full_evaluations": evaluations}
    return record("shortlist_speed", "two_stage", values)
