"""An efficiency cell: full evaluation, throughput, memory and work of one system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from baselines.pair_states import naive_scores
from bench.cells.fresh import fresh_memory
from bench.cells.full_evaluation import full_evaluation
from bench.material.servers import Queries, make_server, modules_of, warm_up
from bench.material.worker import build_server
from bench.material.workshop import Workshop
from bench.measure.cost import cost_card, count_flops, parameter_count
from bench.measure.latency import measure_latency
from bench.measure.memory import MemoryColumn, MemoryUse
from bench.measure.peaks import measure_peaks
from bench.measure.throughput import measure_throughput
from bench.systems import systems
from cookie.interfaces import PairScorer, Searcher
from cookie.training.precision import computing_dtype

BATCHES = (1, 8, 64, 256)


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Measure everything about a system's speed but the interleaved query latency."""
    full = full_evaluation(workshop, system, seed, protocol)
    if not systems[system].cached:
        return _naive(workshop, system, seed, full), {}
    corpus = workshop.test_pixels
    server = make_server(workshop, system, seed, protocol["shortlist"])
    server.index(corpus)
    queries = Queries(corpus)
    warm_up(server, queries, protocol["neighbors"])
    one = measure_latency(
        _ask(server, queries, protocol, 1), device=workshop.device, samples=30, time_budget_s=5.0
    )
    throughput = _throughput(workshop, server, queries, protocol, one.median)
    cost = cost_card(
        _ask(server, queries, protocol, 1),
        module=modules_of(server),
        peaks=measure_peaks(workshop.device),
        precision=precision(workshop),
        seconds=one.median,
    )
    del server
    memory = _memory(workshop, system, seed, protocol)
    values = {
        "full_evaluation": full,
        "one_query": one.summaries(),
        "throughput": throughput,
        "memory": memory.to_dict(),
        "cost": cost.to_dict(),
    }
    kernel = {} if one.kernel_seconds is None else {"one_query_kernel": list(one.kernel_seconds)}
    return values, {"one_query": list(one.seconds)} | kernel


def precision(workshop: Workshop) -> str:
    """Return what the encoders compute in here: ``float32`` or ``bfloat16``."""
    return str(computing_dtype(workshop.device, workshop.precision)).removeprefix("torch.")


def _ask(
    server: Searcher, queries: Queries, protocol: Mapping[str, Any], size: int
) -> Callable[[], object]:
    batch = queries.one(0) if size == 1 else queries.batch(size)
    return lambda: server.search(batch, protocol["neighbors"])


def _throughput(
    workshop: Workshop,
    server: Searcher,
    queries: Queries,
    protocol: Mapping[str, Any],
    one_seconds: float,
) -> dict[str, Any]:
    """Return queries a second at the best batch size among those that take reasonably long."""
    effort = workshop.effort
    sizes = [size for size in BATCHES if size == 1 or size * one_seconds <= effort.call]
    curve = measure_throughput(
        lambda size: _ask(server, queries, protocol, size),
        sizes,
        device=workshop.device,
        repetitions=effort.repetitions if one_seconds < 0.5 else 3,
        seconds=effort.stretch,
    )
    best = curve.best
    return {
        "queries_per_second": None if best is None else best.items_per_second,
        "batch_size": None if best is None else best.batch_size,
        "reason": None if best is not None else "No batch size fits the memory.",
        "curve": curve.to_dict(),
    }


def _memory(workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]) -> MemoryUse:
    return fresh_memory(
        workshop,
        build_server,
        system,
        seed,
        protocol["shortlist"],
        protocol["neighbors"],
        timeout_s=workshop.effort.memory,
    )


def _naive(workshop: Workshop, system: str, seed: int, full: dict[str, Any]) -> dict[str, Any]:
    """The plain loop: its rate is measured, one query costs a gallery of pairs."""
    reason = "The naive loop is there for its pairs a second alone."
    column = MemoryColumn(reason=reason)
    module, corpus = workshop.trained(systems[system].parts[0], seed), workshop.test_pixels
    first = np.zeros(1, dtype=np.int64)
    image, text = corpus.images(first), corpus.texts(first)
    flops = count_flops(lambda: naive_scores(cast(PairScorer, module), image, text))
    peak = measure_peaks(workshop.device).matmul_flops.get(precision(workshop))
    share = None if peak is None else flops * full["pairs_per_second"] / peak
    return {
        "full_evaluation": full,
        "throughput": {"queries_per_second": None, "batch_size": None, "reason": reason},
        "memory": MemoryUse(column, column, column, column).to_dict(),
        "cost": {
            "parameters": parameter_count(module),
            "flops": flops * corpus.image_count,
            "share_of_compute": share,
        },
    }
