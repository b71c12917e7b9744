"""Other people's checkpoints on a split: each with its own weights, transform and tokenizer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from baselines.pair_states import prepare_corpus
from baselines.pretrained.bundle import Bundle, square
from baselines.pretrained.corpus import BundleCorpus
from bench.cells.accuracy import pair_metrics
from bench.cells.rates import rate_within
from bench.cells.sampling import LEAST, pairs_of_all
from bench.material.architectures import architectures
from bench.material.first_images import FirstImages
from bench.material.folds import folds_of
from bench.measure.accuracy import AccuracySummary, summarize_accuracy
from bench.measure.timer import timer_for
from cookie.encoding import encode_corpus
from cookie.errors import UserError
from cookie.interfaces import Corpus, DualEncoder, PairScorer
from cookie.registry import Registry
from cookie.retrieval import RetrievalMetrics
from cookie.retrieval.protocols import evaluate_folds, mean_of_folds
from cookie.training.precision import Precision, autocast

if TYPE_CHECKING:
    from cookie.data.dataset import Split

SAMPLE_SEED = 0
"""Of the queries that are drawn where all pairs do not fit into the time."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A family of models that can be loaded.

    Attributes:
        weights: which, where none are named.
        build: returns the model that goes with a name or folder of weights.
    """

    weights: str
    build: Callable[[str], Bundle[Any]]


checkpoints: Registry[Checkpoint] = Registry("model")
"""By the names of :data:`bench.material.architectures.architectures`, which have random weights."""


def load(name: str, weights: str | None, *, random: bool = False) -> Bundle[Any]:
    """Return a model with what it reads with.

    Args:
        name: of the family.
        weights: a name or a folder; None for the family's default.
        random: take the family's architecture with random weights, for a look at chance.

    Raises:
        UserError: unknown name, weights that cannot be had, or random ones that were not wanted.
    """
    checkpoint = checkpoints[name]
    if random:
        if weights is not None:
            raise UserError("--random takes no --weights: give one of the two.")
        return _random(name)
    bundle = checkpoint.build(weights or checkpoint.weights)
    if bundle.weights is None:
        raise UserError(
            f"'{weights}' has random weights and would find what chance finds: name its weights, "
            f"such as '{checkpoint.weights}', or give --random to see chance."
        )
    return bundle


def accuracy(
    bundle: Bundle[Any],
    split: Split,
    *,
    protocol: str,
    device: torch.device,
    limit: int | None = None,
    seconds: float = 150.0,
    precision: Precision = "float32",
    folds: int = 1,
) -> AccuracySummary:
    """Return R@K of both directions with intervals.

    Args:
        bundle: a dual encoder or a pair scorer.
        split: what to search.
        protocol: name to report.
        device: where to compute.
        limit: use the first so many images only.
        seconds: for the scores of a pair scorer; what does not fit is sampled, of which two
            queries a direction are the least.
        precision: of the forward passes.
        folds: parts of the images that are searched each on its own; the figures are their mean.
    """
    corpus: Corpus = BundleCorpus(split, bundle, device)
    corpus = corpus if limit is None else FirstImages(corpus, limit)
    model = bundle.model.to(device)
    if isinstance(model, DualEncoder):
        metrics, sampled = _dual(model, corpus, device, precision, folds), False
    else:
        scorer = cast(PairScorer, model)
        metrics, sampled = _pair_folds(scorer, corpus, device, seconds, precision, folds)
    return summarize_accuracy(metrics, corpus.caption_image, protocol=protocol, sampled=sampled)


def _dual(
    encoder: DualEncoder,
    corpus: Corpus,
    device: torch.device,
    precision: Precision,
    folds: int,
) -> RetrievalMetrics:
    with autocast(device, precision):
        found = encode_corpus(encoder, corpus, progress=True)
    return evaluate_folds(found.images, found.captions, corpus.caption_image, folds=folds)


def _pair_folds(
    scorer: PairScorer,
    corpus: Corpus,
    device: torch.device,
    seconds: float,
    precision: Precision,
    folds: int,
) -> tuple[RetrievalMetrics, bool]:
    """Return the mean of the folds' metrics, and whether any is of a sample of the queries."""
    parts = folds_of(corpus, folds)
    found = [_pair(scorer, part, device, seconds / folds, precision) for part in parts]
    metrics = [
        (of_fold, part.image_rows, part.caption_rows)
        for (of_fold, _), part in zip(found, parts, strict=True)
    ]
    return mean_of_folds(metrics), any(sampled for _, sampled in found)


def _pair(
    scorer: PairScorer, corpus: Corpus, device: torch.device, seconds: float, precision: Precision
) -> tuple[RetrievalMetrics, bool]:
    """Return the metrics, and whether they are of a sample of the queries."""
    states = prepare_corpus(scorer, corpus, batch_size=32, precision=precision)
    timer, part = timer_for(device), min(1.0, seconds / 10)
    rate = rate_within(scorer, states, timer, seconds=part, precision=precision)
    _warn_of_least(sum(pairs_of_all(corpus)) * LEAST / rate, seconds)
    affordable = rate * seconds
    return pair_metrics(scorer, corpus, states, affordable, SAMPLE_SEED, precision)


def _warn_of_least(least: float, seconds: float) -> None:
    """Say on the error stream where even the fewest queries take longer than they may."""
    if least > seconds:
        print(
            f"{LEAST} queries a direction, the fewest, take about {least:,.0f} s instead of "
            f"{seconds:g}: --limit makes the gallery smaller.",
            file=sys.stderr,
        )


def _random(name: str) -> Bundle[Any]:
    architecture = architectures[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = architecture.build().eval()
    size = architecture.image_size
    return Bundle(model, square(size), architecture.texts(), size, None)


def _open_clip(weights: str) -> Bundle[Any]:
    from baselines.pretrained.open_clip import PLACES, build_open_clip

    if weights.startswith(PLACES):
        return build_open_clip(weights)
    name, _, tag = weights.partition("/")
    return build_open_clip(name, tag or None)


def _transformers_clip(weights: str) -> Bundle[Any]:
    from baselines.pretrained.transformers_clip import build_transformers_clip

    return build_transformers_clip(weights)


def _vilt(weights: str) -> Bundle[Any]:
    from baselines.pretrained.vilt import build_vilt

    return build_vilt(weights)


def _blip(weights: str) -> Bundle[Any]:
    from baselines.pretrained.blip import build_blip

    return build_blip(weights)


checkpoints.register("open_clip")(Checkpoint("ViT-B-32/laion2b_s34b_b79k", _open_clip))
checkpoints.register("transformers_clip")(
    Checkpoint("openai/clip-vit-base-patch32", _transformers_clip)
)
checkpoints.register("vilt")(Checkpoint("dandelin/vilt-b32-finetuned-coco", _vilt))
checkpoints.register("blip_itm")(Checkpoint("Salesforce/blip-itm-base-coco", _blip))
