"""What follows from FLOPs, bytes and peaks by arithmetic alone; no torch here."""

from __future__ import annotations

import math

from bench.scale.machines import Machine
from bench.scale.scenario import Scenario
from bench.scale.work import Work

HOUR = 3600.0
ID_BYTES = 8
"""Of a row's number in an inverted file."""
BLOCK = 512
"""Bytes to which a tar pads its headers and files."""
CAPTIONS = 5
"""Captions an image in a full evaluation."""
LOSSES = 3
MANTISSA = {"float32": 23, "float16": 10, "bfloat16": 7}


def row_bytes(width: int, code: int) -> dict[str, int]:
    """Return the bytes of a gallery row (D = ``width``) by how it is stored."""
    return {
        "float32": 4 * width,
        "float16": 2 * width,
        "int8": width,
        f"IVF-PQ, {code}-byte codes": code + ID_BYTES,
    }


def training_hours(work: Work, machine: Machine, epochs: int, scenario: Scenario) -> float | None:
    """Return the hours of one ``machine`` for ``epochs`` passes over the training pairs."""
    seconds = machine.computing(epochs * scenario.pairs * work.training, scenario)
    return None if seconds is None else seconds / HOUR


def shard_bytes(scenario: Scenario) -> int:
    """Return the bytes of all pairs as WebDataset shards: an image and a text file each."""
    sizes = scenario.image_bytes, scenario.caption_bytes
    return scenario.pairs * sum(BLOCK + BLOCK * math.ceil(size / BLOCK) for size in sizes)


def pixel_bytes(size: int) -> int:
    """Return the bytes of an image of ``size`` pixels a side in the uint8 memory map."""
    return 3 * size**2


def scan_seconds(size: float, machine: Machine, scenario: Scenario) -> float:
    """Return the seconds of reading ``size`` bytes once, shared out to as many as hold them."""
    return machine.reading(size, scenario) / machine.holding(size, scenario)


def dual_query(work: Work, machine: Machine, rows: int, scenario: Scenario) -> float:
    """Return machine seconds of a query to a dual encoder: encode it, read ``rows`` in float32."""
    return _computed(work.caption, machine, scenario) + machine.reading(rows * work.kept, scenario)


def pair_query(work: Work, machine: Machine, rows: int, scenario: Scenario) -> float:
    """Return machine seconds of a query whose caption is scored with ``rows`` kept images."""
    return _computed(work.caption + rows * work.pair, machine, scenario)


def full_evaluation(work: Work, images: int, width: int) -> float:
    """Return the FLOPs of scoring ``images`` with five captions each, everything with everything.

    Args:
        work: of the architecture.
        images: their number.
        width: of embeddings, whose products a dual encoder's scores are.
    """
    captions = CAPTIONS * images
    score = work.pair if work.pair else 2.0 * width
    return images * work.image + captions * work.caption + images * captions * score


def rivals(rows: int, width: int, precision: str, rank: int = 10) -> float:
    """Return how many rows are expected within one step of ``precision`` around the score ranked.

    For independent random unit vectors, whose inner products are normal with variance 1 / D but
    for terms of order 1 / D; those of trained models are denser at the top.

    Args:
        rows: of the gallery.
        width: D.
        precision: a key of :data:`MANTISSA`.
        rank: whose score is looked at, from the best.
    """
    from scipy.stats import norm

    deviation = 1 / math.sqrt(width)
    score = deviation * float(norm.isf(rank / rows))
    density = rows * float(norm.pdf(score / deviation)) / deviation
    return density * step(score, precision)


def step(score: float, precision: str) -> float:
    """Return the distance of neighboring numbers of ``precision`` at ``score``."""
    return math.ldexp(1.0, math.floor(math.log2(score)) - MANTISSA[precision])


def logit_bytes(batch: int) -> int:
    """Return the bytes of the float32 logits of all losses over a batch, without gradients."""
    return LOSSES * 4 * batch**2


def loss_share(work: Work, batch: int, width: int) -> float:
    """Return the losses' FLOPs as a share of a training pair's: products forward and backward."""
    return LOSSES * 3 * 2.0 * batch * width / work.training


def _computed(flops: float, machine: Machine, scenario: Scenario) -> float:
    seconds = machine.computing(flops, scenario)
    if seconds is None:
        raise ValueError(f"the peak of {machine.name} is unknown")
    return seconds
