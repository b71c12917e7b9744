"""A load cell: how many callers a system serves, and the rate of arrivals that it keeps up with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.effort import LoadEffort
from bench.layout import duration
from bench.material.servers import Queries, make_server, warm_up
from bench.material.workshop import Workshop
from bench.measure.load import LoadResult, Serve, closed_loop
from bench.measure.sustained import SustainableRate, highest_rate
from bench.measure.timer import Device
from cookie.interfaces import Searcher

RAW = 2000
"""Most latencies of a loop that are stored; its percentiles are those of all."""


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Measure text queries against the test gallery in closed loops and under random arrivals."""
    corpus, effort = workshop.test_pixels, LoadEffort(**protocol["effort"])
    server = make_server(workshop, system, seed, protocol["shortlist"])
    server.index(corpus)
    queries = Queries(corpus)
    warm_up(server, queries, protocol["neighbors"])
    serve = serving(server, queries, protocol["neighbors"])
    values, samples = under_load(serve, effort, workshop.device)
    return {"gallery": corpus.image_count, **values}, samples


def serving(server: Searcher, queries: Queries, neighbors: int) -> Serve:
    """Return what answers a number of requests at once, each of them the next query."""
    asked = 0

    def serve(count: int) -> None:
        nonlocal asked
        server.search(queries.next(asked, count), neighbors)
        asked += count

    return serve


def under_load(
    serve: Serve, effort: LoadEffort, device: Device
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return values and raw latencies of the closed loops and of the search for a rate.

    What cannot be reached is not tried: where queries, one by one, already take longer than the
    limit, waiting in a queue can only add to that.
    """
    loops = {"one": _closed(serve, effort, device, 1)}
    once = float(np.median(loops["one"].latencies))
    if effort.max_batch * once <= effort.call_s:
        loops["batched"] = _closed(serve, effort, device, effort.max_batch)
    found = None
    if once <= effort.limit_s and "batched" in loops:
        found = _search(serve, effort, device, loops["batched"])
    values = {
        "limit_s": effort.limit_s,
        "max_batch": effort.max_batch,
        "closed": {"batched": _none(_batch_reason(once, effort))}
        | {name: _closed_rate(loop) for name, loop in loops.items()},
        "open": _none(_rate_reason(once, effort)) if found is None else _rate(found),
    }
    return values, {
        "closed_microseconds": {name: _raw(loop) for name, loop in loops.items()},
        "open_microseconds": [_raw(probe) for probe in found.probes] if found else [],
    }


def _closed(serve: Serve, effort: LoadEffort, device: Device, clients: int) -> LoadResult:
    return closed_loop(
        serve,
        device=device,
        clients=clients,
        max_batch=clients,
        requests=effort.requests,
        duration_s=effort.closed_s,
    )


def _search(serve: Serve, effort: LoadEffort, device: Device, busy: LoadResult) -> SustainableRate:
    return highest_rate(
        serve,
        limit_s=effort.limit_s,
        device=device,
        max_batch=effort.max_batch,
        steps=effort.steps,
        probe_s=effort.probe_s,
        longest_s=effort.longest_s,
        settle_s=effort.settle_s,
        search_s=effort.search_s,
        busy=busy,
    )


def _none(reason: str) -> dict[str, Any]:
    return {"rate": None, "reason": reason}


def _batch_reason(once: float, effort: LoadEffort) -> str:
    return (
        f"One query takes {duration(once)}, so {effort.max_batch} at once would take longer than "
        f"the {duration(effort.call_s)} that a call may take."
    )


def _rate_reason(once: float, effort: LoadEffort) -> str:
    return (
        f"One query alone takes {duration(once)}, so no rate of arrivals keeps p99 to "
        f"{duration(effort.limit_s)}."
    )


def _rate(found: SustainableRate) -> dict[str, Any]:
    """Return the search as plain numbers; the raw latencies stand among the samples."""
    reason = None if found.reason is None else f"{found.reason[:1].upper()}{found.reason[1:]}."
    probes = [_without_raw(probe) for probe in found.probes]
    return {**found.to_dict(), "reason": reason, "probes": probes}


def _closed_rate(loop: LoadResult) -> dict[str, Any]:
    return {"rate": loop.served_rate, "reason": None, **_without_raw(loop)}


def _without_raw(loop: LoadResult) -> dict[str, Any]:
    return {name: value for name, value in loop.to_dict().items() if name != "latency_seconds"}


def _raw(loop: LoadResult) -> list[int]:
    """Return latencies in whole microseconds, which are short to write and exact enough.

    Of more than ``RAW``, as fast systems have by the ten thousand, every second, third and so on.
    """
    step = -(-len(loop.latencies) // RAW) or 1
    return [round(1e6 * latency) for latency in loop.latencies[::step]]
