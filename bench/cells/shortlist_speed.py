"""A shortlist-speed cell: what re-ranking costs at every length of the shortlist."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from baselines.pair_states import prepare_corpus
from bench.cells.full_evaluation import Bench, FullEvaluation, shortlist_rankings, timed
from bench.cells.latency import Answering, asking, in_turns
from bench.cells.shortlists import lengths
from bench.findings.shortlist_evidence import ALONE, WHOLE
from bench.material.servers import Queries, TwoStageServer, make_server
from bench.material.workshop import Workshop, encoded
from bench.measure.timer import timer_for


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Measure a query and the full evaluation at every length; the end points are queries alone."""
    corpus = workshop.test_pixels
    server = cast(TwoStageServer, make_server(workshop, system, seed, 1))
    evaluations = _full_evaluations(workshop, server)
    server.index(corpus)
    queries, ks = Queries(corpus), lengths(corpus.image_count)
    servers: dict[str, Answering] = {
        ALONE: server.dual,
        **{str(k): TwoStageServer(server.dual, server.pair, k) for k in ks},
        WHOLE: server.pair,
    }
    runs = {name: asking(one, queries, protocol["neighbors"]) for name, one in servers.items()}
    values, raw = in_turns(runs, workshop)
    return {**values, "full_evaluations": evaluations}, raw


def _full_evaluations(workshop: Workshop, server: TwoStageServer) -> dict[str, Any]:
    """Return each length's full evaluation; what does not depend on it is measured once."""
    device, precision = workshop.device, workshop.precision
    bench = Bench(workshop.test_pixels, timer_for(device), workshop.effort, precision)
    corpus, encoder, scorer = bench.corpus, server.dual.encoder, server.pair.scorer
    encoding, found = timed(bench.timer, partial(encoded, encoder, corpus, device, precision))
    prepare = partial(prepare_corpus, scorer, corpus, precision=precision, progress=False)
    preparing, states = timed(bench.timer, prepare)
    evaluations = {}
    for k in lengths(corpus.image_count):
        rankings, rate, whole = shortlist_rankings(found, states, scorer, bench, k)
        full = FullEvaluation([encoding + preparing], rankings, rate, extrapolated=not whole)
        evaluations[str(k)] = full.to_dict(corpus)
    return evaluations
