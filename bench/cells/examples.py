"""Examples for the eye: what a system finds for a few captions, the same ones for all systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from baselines.pair_scoring import score_rows
from bench.cells.pairs import prepared, reranked
from bench.material.workshop import Workshop, encoded
from bench.systems import systems
from cookie.interfaces import DualEncoder, IndexArray

QUERIES = 6
FOUND = 5


def example_captions(count: int) -> IndexArray:
    """Return the captions that are asked, drawn at random of ``count``, always the same ones."""
    return np.sort(np.random.default_rng(0).permutation(count)[:QUERIES])


def examples(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> dict[str, Any]:
    """Return caption indices and, for each, its own image and the best images, best first."""
    corpus = workshop.corpora()["test"]
    captions = example_captions(len(corpus.captions))
    scores = _scores(workshop, system, seed, protocol, captions)  # (Q, images)
    return {
        "captions": captions.tolist(),
        "images": corpus.caption_image[captions].tolist(),
        "found": best(scores).tolist(),
    }


def best(scores: Tensor) -> Tensor:
    """Return (Q, FOUND) columns of the highest scores of each row; equal ones by their order."""
    return torch.sort(scores, dim=1, descending=True, stable=True).indices[:, :FOUND]


def _scores(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any], captions: IndexArray
) -> Tensor:
    """Return (Q, images) scores as the system ranks by them; not shortlisted is -inf."""
    spec, precision = systems[system], workshop.precision
    if spec.family == "pair":
        scorer, _, states = prepared(workshop, spec.parts[0], seed)
        return score_rows(scorer, *states, captions, "t2i", precision=precision)
    encoder = cast(DualEncoder, workshop.trained(spec.parts[0], seed))
    found = encoded(encoder, workshop.corpora()["test"], workshop.device, precision)
    if spec.family == "dual":
        return found.captions[captions] @ found.images.T
    scorer, _, states = prepared(workshop, spec.parts[1], seed)
    size = protocol["shortlist"]
    return reranked(scorer, states, found, captions, size, "t2i", precision)
