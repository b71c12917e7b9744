"""A cost cell: what an architecture of real size takes, with random weights.

Rates are measured on a few items; a full evaluation of 1,000 images and 5,000 captions follows
from them, and is marked as extrapolated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from baselines.pair_scoring import score_list
from bench.architectures import architectures
from bench.cells.efficiency import precision
from bench.measure.cost import count_flops, parameter_count, share_of_peak
from bench.measure.peaks import measure_peaks
from bench.measure.throughput import measure_throughput
from bench.measure.timer import Run, timer_for
from bench.systems import systems
from bench.workshop import Workshop
from cookie.interfaces import DualEncoder, ImageBatch, PairScorer, TextBatch
from cookie.retrieval import evaluate
from cookie.training.precision import autocast

IMAGES, CAPTIONS = 1000, 5000
"""Size of the full evaluation that is extrapolated to: a test split of Flickr30k."""


class Batches(NamedTuple):
    """Items that are worked on at a time."""

    images: int
    captions: int
    pairs: int


BATCHES = {"cpu": Batches(8, 64, 32), "cuda": Batches(128, 1024, 1024)}


class Material(NamedTuple):
    """A batch of random images and one of real captions, on the device."""

    images: ImageBatch
    texts: TextBatch


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Measure one architecture."""
    del protocol
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = architectures[system].build().to(workshop.device).eval()
        material = _material(workshop, system)
    works = _dual(module, material, workshop)
    ranking = 0.0
    if systems[system].family == "pair":
        works = _pair(module, material, workshop)
    else:
        ranking = _ranking(cast(DualEncoder, module), material, workshop)
    rates = {name: _rate(work, count, workshop) for name, (work, count) in works.items()}
    values = {
        "parameters": parameter_count(module),
        "precision": precision(workshop),
        "weights": "random",
        "caption_tokens": float(material.texts.mask.sum(dim=1).float().mean()),
        "work": {name: {k: v for k, v in r.items() if k != "samples"} for name, r in rates.items()},
        "full_evaluation": full_evaluation(rates, ranking),
    }
    return values, {name: rate["samples"] for name, rate in rates.items()}


def full_evaluation(rates: Mapping[str, Mapping[str, Any]], ranking: float) -> dict[str, Any]:
    """Return the seconds for all images, all captions and all their pairs.

    Args:
        rates: items a second of ``image``, ``caption`` and, for a pair scorer, ``pair``.
        ranking: measured seconds of ranking embeddings, 0 for a pair scorer.
    """
    counts = {"image": IMAGES, "caption": CAPTIONS, "pair": IMAGES * CAPTIONS}
    parts = {name: counts[name] / rate["items_per_second"] for name, rate in rates.items()}
    parts["ranking"] = ranking
    return {
        "seconds": sum(parts.values()),
        "parts": parts,
        "images": IMAGES,
        "captions": CAPTIONS,
        "extrapolated": True,
    }


def _material(workshop: Workshop, system: str) -> Material:
    architecture, sizes = architectures[system], BATCHES[workshop.device.type]
    size = architecture.image_size
    pixels = torch.randint(0, 256, (sizes.images, 3, size, size), dtype=torch.uint8)
    captions = np.resize(np.asarray(workshop.dataset.split("test").captions), sizes.captions)
    texts = architecture.texts()([str(caption) for caption in captions])
    return Material(ImageBatch(pixels).to(workshop.device), texts.to(workshop.device))


Works = dict[str, tuple[Run, int]]


def _dual(module: nn.Module, material: Material, workshop: Workshop) -> Works:
    """Return the work on a batch of images and of captions, and how many they are."""
    encoder, (images, texts) = cast(DualEncoder, module), material
    return {
        "image": (_inferring(workshop, lambda: encoder.encode_images(images)), len(images)),
        "caption": (_inferring(workshop, lambda: encoder.encode_texts(texts)), len(texts)),
    }


def _pair(module: nn.Module, material: Material, workshop: Workshop) -> Works:
    """Return the work once an image, once a caption, and on a batch of random pairs."""
    scorer, (images, texts) = cast(PairScorer, module), material
    prepare_images = _inferring(workshop, lambda: scorer.prepare_images(images))
    prepare_texts = _inferring(workshop, lambda: scorer.prepare_texts(texts))
    count, draws = BATCHES[workshop.device.type].pairs, np.random.default_rng(0)
    rows = [draws.integers(len(part), size=count) for part in (images, texts)]
    states = prepare_images(), prepare_texts()
    score = partial(score_list, scorer, *states, *rows, precision=workshop.precision)
    return {
        "image": (prepare_images, len(images)),
        "caption": (prepare_texts, len(texts)),
        "pair": (score, count),
    }


def _inferring(workshop: Workshop, work: Callable[[], Any]) -> Callable[[], Any]:
    @torch.inference_mode()
    def infer() -> Any:  # noqa: ANN401 -- what the work gives
        with autocast(workshop.device, workshop.precision):
            return work()

    return infer


def _rate(work: Run, count: int, workshop: Workshop) -> dict[str, Any]:
    """Return items a second, FLOPs an item and the share of the matrix product peak."""
    effort = workshop.effort
    curve = measure_throughput(
        lambda _: work,
        [count],
        device=workshop.device,
        repetitions=effort.repetitions,
        seconds=effort.stretch,
    )
    (point,) = curve.points
    rate, flops = point.items_per_second, count_flops(work) / count
    if rate is None:
        raise MemoryError(point.reason)
    peak = measure_peaks(workshop.device).matmul_flops.get(precision(workshop))
    return {
        "items_per_second": rate,
        "batch_size": count,
        "flops": flops,
        "share_of_compute": share_of_peak(flops * rate, 1.0, peak),
        "samples": list(point.seconds),
    }


def _ranking(encoder: DualEncoder, material: Material, workshop: Workshop) -> float:
    """Return the seconds of ranking that many random embeddings in both directions."""
    found: Tensor = _inferring(workshop, lambda: encoder.encode_texts(material.texts))()
    images, captions = (
        normalize(torch.randn(count, found.shape[1]), dim=1).to(workshop.device)
        for count in (IMAGES, CAPTIONS)
    )
    owners = np.repeat(np.arange(IMAGES), CAPTIONS // IMAGES)
    timer = timer_for(workshop.device)
    return min(timer.seconds(lambda: evaluate(images, captions, owners)) for _ in range(2))
