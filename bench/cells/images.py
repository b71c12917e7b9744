"""An image retrieval cell: images that a dual encoder finds for images, against graded truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from bench.material.image_truths import ImageTruth, image_truths
from bench.material.workshop import Workshop
from bench.systems import systems
from cookie.encoding import encode_images
from cookie.interfaces import DualEncoder
from cookie.retrieval.graded import Floats, chance_ndcg, ndcg, r_precision
from cookie.training.precision import autocast

K = 10


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Rank all test images for each of them."""
    encoder = cast(DualEncoder, workshop.trained(systems[system].parts[0], seed))
    corpus = workshop.corpora()["test"]
    with autocast(workshop.device, workshop.precision):
        vectors = encode_images(encoder, corpus).double().cpu().numpy()
    truths = image_truths(workshop.dataset, workshop.setup.data_root)
    samples = {truth.name: judge(vectors @ vectors.T, truth) for truth in truths}
    values = {
        name: {key: float(np.mean(found[key])) for key in found if key != "query"}
        for name, found in samples.items()
        if found["query"]
    }
    return {"images": len(vectors), "truths": values}, samples


def judge(scores: Floats, truth: ImageTruth) -> dict[str, list[Any]]:
    """Return the queries that the truth can judge, with the measures of each in percent.

    Args:
        scores: (N, N) of the first N images that the truth knows.
        truth: of these and possibly more.
    """
    gains = truth.gains[: len(scores), : len(scores)]
    found = {"ndcg": 100 * ndcg(scores, gains, K), "chance": 100 * chance_ndcg(gains, K)}
    if truth.threshold is not None:
        found["r_precision"] = 100 * r_precision(scores, gains, truth.threshold)
    asked = np.flatnonzero(~np.isnan(np.stack(list(found.values()))).any(axis=0))
    columns = {name: np.round(values[asked], 4).tolist() for name, values in found.items()}
    return {"query": asked.tolist(), **columns}
