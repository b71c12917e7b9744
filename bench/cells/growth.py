"""A growth cell: latency, throughput and memory of all systems at one size of the gallery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.cells.contestants import Contestant, ratios
from bench.cells.fresh import fresh_memory
from bench.cells.gallery_rates import affordable_images, rising_batches
from bench.cells.latency import asking, raw
from bench.effort import GrowthEffort
from bench.material.galleries import Storage, choose_storage, free_disk, free_memory, random_gallery
from bench.material.grown_servers import Grown, GrownDual, GrownPair, bytes_per_image, grow
from bench.material.grown_worker import build_grown
from bench.material.servers import PairServer, Queries, make_server
from bench.material.workshop import Workshop
from bench.measure.latency import InterleavedSamples, measure_interleaved
from bench.measure.memory import MemoryColumn, MemoryUse
from bench.measure.peaks import measure_peaks
from bench.measure.percentiles import required_samples, summary
from bench.measure.timer import timer_for
from bench.systems import systems
from cookie.retrieval.search import FlatIndex

SEARCH = "search"
"""Name of the search alone, without an encoder, beside the systems."""
Ask = Callable[[], object]


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Measure all systems in turns at the protocol's gallery size."""
    size, width, device = protocol["gallery"], workshop.config.head.embedding, workshop.device
    memory, disk = free_memory(device), free_disk(workshop.cache)
    storage = choose_storage(size, width, memory=memory, disk=disk)
    if storage is None:
        return {"gallery": size, "reason": _too_large(memory, disk)}, {}
    bench = GrowthBench(workshop, seed, protocol, storage)
    values, raw = bench.measure()
    for name in protocol["systems"]:
        values["systems"][name]["memory"] = bench.memory(name).to_dict()
    return values, raw


def _too_large(memory: int, disk: int) -> str:
    return (
        f"The gallery fits neither the memory ({memory / 2**30:.1f} GiB free) nor the disk "
        f"({disk / 2**30:.1f} GiB free)."
    )


class GrowthBench:
    """All systems at one gallery size."""

    def __init__(
        self, workshop: Workshop, seed: int, protocol: Mapping[str, Any], storage: Storage
    ) -> None:
        self.workshop, self.seed, self.protocol, self.storage = workshop, seed, protocol, storage
        self.size = int(protocol["gallery"])
        self.effort = GrowthEffort(**protocol["effort"])
        self.index = FlatIndex()

    def measure(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return everything but memory, and the raw times of queries as they were measured.

        The gallery is gone afterwards: the processes that measure memory need the room.
        """
        with random_gallery(
            self.size,
            self.workshop.config.head.embedding,
            self.storage,
            device=self.workshop.device,
            folder=self.workshop.cache,
        ) as gallery:
            self.index.index(gallery)
            found = self._measured()
            self.index = FlatIndex()
        return found

    def _measured(self) -> tuple[dict[str, Any], dict[str, Any]]:
        queries = Queries(self.workshop.test_pixels)
        contestants = {name: self._contestant(name, queries) for name in self.protocol["systems"]}
        runs = {name: self._asking(one.server, queries) for name, one in contestants.items()}
        runs[SEARCH] = self._searching(contestants, queries)
        together = self._in_turns(runs, self.effort.rounds, self.effort.rounds_s)
        long = self._long_run(runs, together)
        best = {**together.samples, **(long.samples if long else {})}
        times = {name: list(found.seconds) for name, found in best.items()}
        values = {
            "gallery": self.size,
            "width": self.workshop.config.head.embedding,
            "storage": self.storage.to_dict(),
            "systems": {
                name: self._system(one, times[name], queries) for name, one in contestants.items()
            },
            "search": self._bandwidth(times[SEARCH]),
            "ratios": ratios(together, contestants, self.size),
        }
        return values, raw(together, long)

    def _in_turns(self, runs: Mapping[str, Ask], rounds: int, seconds: float) -> InterleavedSamples:
        return measure_interleaved(
            runs, rounds=rounds, device=self.workshop.device, warmup=1, time_budget_s=seconds
        )

    def _contestant(self, name: str, queries: Queries) -> Contestant:
        """Return the system over the gallery; a slow one over a part that fits the time."""
        server = make_server(self.workshop, name, self.seed, self.protocol["shortlist"])
        server.index(self.workshop.test_pixels)
        images = self.size
        if isinstance(server, PairServer):
            images = self._affordable(server, queries, self.effort.rounds_s / 2, self.effort.part_s)
        row_bytes = bytes_per_image(server, self._embedding_bytes)
        return Contestant(name, grow(server, self.index, images), images, row_bytes)

    @property
    def _embedding_bytes(self) -> int:
        return self.storage.row_bytes(self.workshop.config.head.embedding)

    def _affordable(
        self, server: PairServer, queries: Queries, most_s: float, part_s: float
    ) -> int:
        return affordable_images(
            lambda images: self._asking(GrownPair(server, images), queries),
            self.size,
            timer_for(self.workshop.device),
            most_s=most_s,
            part_s=part_s,
        )

    def _asking(self, server: Grown, queries: Queries) -> Ask:
        return asking(server, queries, self.protocol["neighbors"])

    def _searching(self, contestants: Mapping[str, Contestant], queries: Queries) -> Ask:
        """Return the search for a query's embedding, which was made before."""
        dual = next(o.server for o in contestants.values() if isinstance(o.server, GrownDual))
        embedding = dual.server.encode(queries.one(0)).float()
        return lambda: self.index.search(embedding, self.protocol["neighbors"])

    def _long_run(
        self, runs: Mapping[str, Ask], together: InterleavedSamples
    ) -> InterleavedSamples | None:
        """Run those that are fast enough for a p99 on, in turns, as many as fit the time."""
        rounds, left, chosen = required_samples(0.99), self.effort.long_s, dict[str, Ask]()
        for name in sorted(runs, key=lambda name: together.samples[name].median):
            left -= rounds * together.samples[name].median
            if left >= 0:
                chosen[name] = runs[name]
        if not chosen:
            return None
        return self._in_turns(chosen, rounds, 2 * self.effort.long_s)

    def _system(self, one: Contestant, times: list[float], queries: Queries) -> dict[str, Any]:
        factor = one.factor(self.size)
        return {
            **summary([factor * seconds for seconds in times]),
            "extrapolated": one.images < self.size,
            "measured_images": one.images,
            "gallery_bytes": self.size * one.row_bytes,
            "throughput": self._throughput(one, queries),
        }

    def _throughput(self, one: Contestant, queries: Queries) -> dict[str, Any]:
        """Return queries a second over batch sizes, of a slow system on a part of the gallery."""
        server, images = one.server, one.images
        if isinstance(server, GrownPair):
            call = self.effort.call_s
            images = self._affordable(server.server, queries, call, call)
            server = GrownPair(server.server, images)
        curve = rising_batches(
            lambda batch: lambda: server.search(batch, self.protocol["neighbors"]),
            queries,
            self.effort,
            self.workshop.device,
        )
        best = curve.best
        rate = None if best is None else best.items_per_second
        return {
            "queries_per_second": None if rate is None else rate * images / self.size,
            "batch_size": None if best is None else best.batch_size,
            "reason": None if rate is not None else "No batch size fits the memory.",
            "extrapolated": images < self.size,
            "measured_images": images,
            "curve": curve.to_dict(),
        }

    def _bandwidth(self, times: list[float]) -> dict[str, Any]:
        """Return the time of the search alone beside that of reading the gallery once."""
        copied = measure_peaks(self.workshop.device).copy_bytes
        found, amount = summary(times), self.size * self._embedding_bytes
        in_memory = copied if self.storage.place == "memory" else None
        bound = None if in_memory is None else amount / in_memory
        share = None if bound is None else bound / found["p50"]
        return {
            **found,
            "gallery_bytes": amount,
            "copy_bytes_per_second": copied,
            "bound_seconds": bound,
            "share_of_bandwidth": share,
        }

    def memory(self, name: str) -> MemoryUse:
        """Return the memory of a fresh process that answers queries against the gallery."""
        if systems[name].family != "dual":
            reason = "its gallery of image states would not be real: test images are repeated"
            column = MemoryColumn(reason=reason)
            return MemoryUse(column, column, column, column)
        return fresh_memory(
            self.workshop,
            build_grown,
            name,
            self.seed,
            dict(self.protocol),
            self.storage,
            timeout_s=self.effort.memory_s,
        )
