"""How much of a gallery a query can see in a given time, and queries a second in batches."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from bench.cells.efficiency import BATCHES
from bench.effort import GrowthEffort
from bench.material.servers import Queries
from bench.measure.throughput import ThroughputCurve, ThroughputPoint, measure_throughput
from bench.measure.timer import Run, Timer
from cookie.interfaces import TextBatch

PROBE_IMAGES = 1024


def affordable_images(
    ask: Callable[[int], Run], size: int, timer: Timer, *, most_s: float, part_s: float
) -> int:
    """Return ``size`` if one query against so many images takes at most ``most_s``, else fewer.

    Args:
        ask: returns, for a number of images, one query against them.
        size: of the gallery.
        timer: waits for the device.
        most_s: seconds that a query against the whole gallery may take.
        part_s: seconds that one against a part is to fill, by the rate at a thousand images.
    """
    probe = min(size, PROBE_IMAGES)
    run = ask(probe)
    timer.seconds(run)  # set-up
    each = min(timer.seconds(run) for _ in range(2)) / probe
    if each * size <= most_s:
        return size
    return max(1, min(size, math.floor(part_s / each)))


def rising_batches(
    prepare: Callable[[TextBatch], Run],
    queries: Queries,
    effort: GrowthEffort,
    device: torch.device,
) -> ThroughputCurve:
    """Measure rising batch sizes until a call takes too long for a larger one to be tried.

    Args:
        prepare: returns the work of answering a batch.
        queries: asked.
        effort: ``call_s`` ends the rise.
        device: where the work runs.
    """
    points: list[ThroughputPoint] = []
    for size in BATCHES:
        curve = measure_throughput(
            lambda asked: prepare(queries.one(0) if asked == 1 else queries.batch(asked)),
            [size],
            device=device,
            repetitions=effort.repetitions,
            seconds=effort.stretch_s,
        )
        points.extend(curve.points)
        if any(point.reason for point in curve.points) or _call(points[-1]) > effort.call_s:
            break
    return ThroughputCurve(tuple(points))


def _call(point: ThroughputPoint) -> float:
    return min(point.seconds) / point.calls
