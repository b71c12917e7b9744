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
from bench.cells.efficiency import precision
from bench.material.architectures import architectures
from bench.material.workshop import Workshop
from bench.measure.cost import count_flops, parameter_count, share_of_peak
from bench.measure.peaks import measure_peaks
from bench.measure.throughput import measure_throughput
from bench.measure.timer import Run, timer_for
from bench.systems import systems
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
    if systems[system].family == "pair":
        works, ranking = _pair(module, material, workshop), 0.0
    else:
        works = _dual(module, material, workshop)
        ranking = _ranking(cast(DualEncoder, module), material, workshop)
    rates = {name: _rate(works[name], workshop) for name in works}
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


class Work(NamedTuple):
    """What is done with the first so many items of a batch, and how many a whole one has."""

    on: Callable[[int], Callable[[], Any]]
    size: int


Works = dict[str, Work]


def _dual(module: nn.Module, material: Material, workshop: Workshop) -> Works:
    """Return the work on a batch of images and on one of captions."""
    encoder = cast(DualEncoder, module)
    return _on_batches(encoder.encode_images, encoder.encode_texts, material, workshop)


def _on_batches(
    images: Callable[[ImageBatch], Any],
    texts: Callable[[TextBatch], Any],
    material: Material,
    workshop: Workshop,
) -> Works:
    def on_images(count: int) -> Run:
        batch = ImageBatch(material.images.data[:count])
        return _inferring(workshop, lambda: images(batch))

    def on_texts(count: int) -> Run:
        batch = TextBatch(material.texts.ids[:count], material.texts.mask[:count])
        return _inferring(workshop, lambda: texts(batch))

    return {
        "image": Work(on_images, len(material.images)),
        "caption": Work(on_texts, len(material.texts)),
    }


def _pair(module: nn.Module, material: Material, workshop: Workshop) -> Works:
    """Return the work once an image, once a caption, and on a batch of random pairs."""
    scorer, precision = cast(PairScorer, module), workshop.precision
    works = _on_batches(scorer.prepare_images, scorer.prepare_texts, material, workshop)
    count, draws = BATCHES[workshop.device.type].pairs, np.random.default_rng(0)
    images, texts = (draws.integers(len(part), size=count) for part in material)
    states = [work.on(work.size)() for work in works.values()]

    def on_pairs(count: int) -> Run:
        pairs = *states, images[:count], texts[:count]
        return partial(score_list, scorer, *pairs, precision=precision)

    return works | {"pair": Work(on_pairs, count)}


def _inferring(workshop: Workshop, work: Callable[[], Any]) -> Callable[[], Any]:
    @torch.inference_mode()
    def infer() -> Any:  # noqa: ANN401 -- what the work gives
        with autocast(workshop.device, workshop.precision):
            return work()

    return infer


def _rate(work: Work, workshop: Workshop) -> dict[str, Any]:
    """Return items a second, FLOPs an item and the share of the matrix product peak."""
    effort = workshop.effort
    curve = measure_throughput(
        work.on,
        [work.size],
        device=workshop.device,
        repetitions=effort.repetitions,
        seconds=effort.stretch,
    )
    point = curve.best
    if point is None or point.items_per_second is None:
        raise MemoryError("not even a batch of one fits")
    rate, count = point.items_per_second, point.batch_size
    flops = count_flops(work.on(count)) / count
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
