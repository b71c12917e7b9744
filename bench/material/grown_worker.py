"""What a fresh process builds to have the memory of a large gallery measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch

from bench.material.galleries import Storage, random_gallery
from bench.material.grown_servers import GrownDual
from bench.material.servers import DualServer, Queries, make_server
from bench.material.workshop import Setup, Workshop
from cookie.retrieval.search import FlatIndex

QUERIES = 4


def build_grown(
    setup: Setup,
    system: str,
    seed: int,
    protocol: Mapping[str, Any],
    storage: Storage,
    threads: int,
) -> Callable[[], object]:
    """Return the work: draw the gallery, then answer queries one by one and as a batch.

    Args:
        setup: of the section.
        system: name of a dual encoder.
        seed: of the training.
        protocol: of the growth cell.
        storage: of the gallery.
        threads: of torch, as in the parent process.
    """
    torch.set_num_threads(threads)
    workshop = Workshop(setup)
    server = cast(DualServer, make_server(workshop, system, seed, protocol["shortlist"]))
    queries, size = Queries(workshop.test_pixels, QUERIES), protocol["gallery"]

    def serve() -> object:
        width, device = workshop.config.head.embedding, workshop.device
        with random_gallery(size, width, storage, device=device, folder=workshop.cache) as gallery:
            index = FlatIndex()
            index.index(gallery)
            grown = GrownDual(server, index)
            for turn in range(QUERIES):
                grown.search(queries.one(turn), protocol["neighbors"])
            return grown.search(queries.batch(QUERIES), protocol["neighbors"])

    return serve
