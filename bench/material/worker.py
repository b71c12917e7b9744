"""What a fresh process builds to have its memory measured: one system that answers queries."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench.material.servers import Queries, make_server
from bench.material.workshop import Setup, Workshop

QUERIES = 16
"""Queries that are answered one by one, and then as one batch."""


def build_server(
    setup: Setup, system: str, seed: int, shortlist: int, neighbors: int, threads: int
) -> Callable[[], object]:
    """Return the work: prepare the gallery from pixels, then answer queries.

    Args:
        setup: of the section.
        system: name.
        seed: of the training.
        shortlist: of two-stage systems.
        neighbors: wanted for each query.
        threads: of torch, as in the parent process.
    """
    torch.set_num_threads(threads)
    workshop = Workshop(setup)
    corpus = workshop.test_pixels
    server = make_server(workshop, system, seed, shortlist)
    queries = Queries(corpus, QUERIES)

    def serve() -> object:
        server.index(corpus)
        for turn in range(QUERIES):
            server.search(queries.one(turn), neighbors)
        return server.search(queries.batch(QUERIES), neighbors)

    return serve
