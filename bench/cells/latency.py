"""The latency cell: one text query against a prepared gallery, all systems in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Protocol

from bench.material.servers import Queries, make_server, warm_up
from bench.material.workshop import Workshop
from bench.measure.latency import InterleavedSamples, measure_interleaved
from bench.measure.percentiles import required_samples, summary
from bench.systems import systems
from cookie.errors import UserError
from cookie.interfaces import TopK

SPARED = 0.8
"""Share of the long run's time that its systems may be expected to take; times vary."""


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Measure all systems in turns; then the fast ones alone, long enough for a p99."""
    corpus = workshop.test_pixels
    queries, runs, left_out = Queries(corpus), {}, dict[str, str]()
    for name in protocol["systems"]:
        try:
            server = make_server(workshop, name, seed, protocol["shortlist"])
            server.index(corpus)
            warm_up(server, queries, protocol["neighbors"])
        except UserError as error:
            if not systems[name].compiled:
                raise
            left_out[name] = str(error)  # the others' times are wanted all the same
            continue
        runs[name] = asking(server, queries, protocol["neighbors"])
    values, samples = in_turns(runs, workshop)
    return values | {"left_out": left_out}, samples


def in_turns(
    runs: Mapping[str, Callable[[], object]], workshop: Workshop
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return values and raw samples of ``runs``, each of which answers a query a call."""
    together = measure_interleaved(
        runs,
        rounds=workshop.effort.rounds,
        device=workshop.device,
        time_budget_s=workshop.effort.latency,
    )
    fast = _fast(runs, together, workshop.effort.latency)
    long = _long_run(fast, workshop) if fast else None
    return _values(together, long, workshop.test_pixels.image_count), raw(together, long)


class Answering(Protocol):
    """What can be asked, with its gallery in place."""

    def search(self, queries: Any, k: int) -> TopK:  # noqa: ANN401 -- as a Searcher has it
        """Return the ``k`` best gallery rows of each query."""
        ...


def asking(server: Answering, queries: Queries, neighbors: int) -> Callable[[], object]:
    """Return a call that answers the next query; every server gets the same sequence."""
    turns = count()
    return lambda: server.search(queries.one(next(turns)), neighbors)


def _fast(
    runs: Mapping[str, Callable[[], object]], together: InterleavedSamples, seconds: float
) -> dict[str, Callable[[], object]]:
    """Return the systems, beginning with the fastest, whose p99 can be had in ``seconds``.

    A slow one beside them would use up the time, and nobody's p99 were known.
    """
    left, chosen = SPARED * seconds / required_samples(0.99), set[str]()
    for name in sorted(runs, key=lambda name: together.samples[name].median):
        left -= together.samples[name].median
        if left < 0:
            break
        chosen.add(name)
    return {name: ask for name, ask in runs.items() if name in chosen}


def _long_run(runs: Mapping[str, Callable[[], object]], workshop: Workshop) -> InterleavedSamples:
    rounds = required_samples(0.99)
    return measure_interleaved(
        runs, rounds=rounds, device=workshop.device, time_budget_s=workshop.effort.latency
    )


def _values(
    together: InterleavedSamples, long: InterleavedSamples | None, gallery: int
) -> dict[str, Any]:
    """Each system's percentiles from its longest run, and the paired ratios of the common one."""
    best = {**together.samples, **(long.samples if long else {})}
    names = list(together.samples)
    return {
        "gallery": gallery,
        "systems": {name: summary(found.seconds) for name, found in best.items()},
        "ratios": [
            together.ratio(one, other).to_dict() for one in names for other in names if one != other
        ],
    }


def raw(together: InterleavedSamples, long: InterleavedSamples | None) -> dict[str, Any]:
    """Return the times of both runs, by system and in the order measured."""
    runs = {"together": together} | ({"long": long} if long else {})
    return {
        run: {name: list(found.seconds) for name, found in samples.samples.items()}
        for run, samples in runs.items()
    }
