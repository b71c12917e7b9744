"""A training cell: one system, one seed, best weights on the validation split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from torch import nn

from baselines.equal_parameters import above_encoders
from baselines.pair_scoring import score_rows
from baselines.pair_states import prepare_corpus
from bench.findings.histories import samples_of
from bench.material.pretraining import pretrain, started
from bench.material.workshop import Workshop, encoded
from bench.systems import systems
from cookie.encoding import Embeddings
from cookie.interfaces import Corpus, DualEncoder, IndexArray, PairScorer
from cookie.retrieval import direction_metrics, evaluate
from cookie.retrieval.positives import image_positives
from cookie.training.identity import SINGLE, Stage
from cookie.training.precision import Precision
from cookie.training.trainer import TrainResult, train

Validate = Callable[[nn.Module], float]


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Train ``system``, in one stage or two; go on from its checkpoint where there is one."""
    module = workshop.untrained(system, seed)
    settings = workshop.settings(system)
    corpora = workshop.corpora_of(system, module)
    corpus = workshop.training_split(system, module)
    validate = validation(systems[system].family, corpora["val"], workshop)
    before = pretrain(workshop, system, seed, validate)
    start = started(workshop, system, seed) if before is None else before.start
    if start is not None:
        start.fill(module, settings)
    result = train(
        module,
        corpus,
        settings,
        seed=seed,
        device=workshop.device,
        run_dir=workshop.run_dir(system, seed),
        validate=validate,
        stage=SINGLE if start is None else Stage("finetune", start.digest),
    )
    results = [result] if before is None else [before.result, result]
    common = {"training_pairs": len(corpus.captions), **parameters(module)}
    samples = samples_of(result.history) if before is None else {}  # a history is of one stage
    return _values(results, settings.train.batch_size) | common, samples


def _values(results: list[TrainResult], size: int) -> dict[str, Any]:
    """Return what a record says of a training; the stages of several one by one as well."""
    last = results[-1]
    steps, seconds = sum(each.steps for each in results), sum(each.seconds for each in results)
    return {
        "steps": steps,
        "seconds": seconds,
        "wait_seconds": sum(each.wait_seconds for each in results),
        "samples_per_second": steps * size / seconds,
        "best_step": steps - last.steps + last.best_step,
        "best_validation": last.best_score,
        "batch_size": size,
        **_gpu_busy(results),
        **({} if len(results) == 1 else {"stages": [_stage(each) for each in results]}),
    }


def _gpu_busy(results: list[TrainResult]) -> dict[str, float]:
    """Return the share of the training that the GPU worked; nothing where it is not known."""
    parts = [(each.gpu_busy, each.seconds) for each in results if each.gpu_busy is not None]
    if len(parts) < len(results):
        return {}
    return {"gpu_busy": sum(b * s for b, s in parts) / sum(s for _, s in parts)}


def _stage(result: TrainResult) -> dict[str, Any]:
    return {
        "steps": result.steps,
        "seconds": result.seconds,
        "best_step": result.best_step,
        "best_validation": result.best_score,
    }


def parameters(module: nn.Module) -> dict[str, int | None]:
    """Return how many parameters there are, how many learn, how many are not in an encoder."""
    found = list(module.parameters())
    return {
        "parameters": sum(p.numel() for p in found),
        "trainable_parameters": sum(p.numel() for p in found if p.requires_grad),
        "parameters_above_encoders": above_encoders(module),
    }


def validation(
    family: str, corpus: Corpus, workshop: Workshop, queries: int | None = None
) -> Validate:
    """Return the score that chooses the best weights: RSUM on the validation split.

    A dual encoder answers every query. A pair scorer answers a fixed random sample of captions
    and one of as many images, each against the full gallery: ``queries`` of either, as far as
    there are so many; None for as many as the preset says.
    """
    device, precision = workshop.device, workshop.precision
    if family == "dual":
        return lambda module: _rsum(
            encoded(cast(DualEncoder, module), corpus, device, precision), corpus
        )
    sample = validation_sample(corpus, queries or workshop.config.train.validation_queries)
    return lambda module: _sampled_rsum(cast(PairScorer, module), corpus, sample, precision)


def judged(workshop: Workshop, system: str, seed: int, queries: int) -> float:
    """Return the validation RSUM of a trained system; see :func:`validation`."""
    module = workshop.trained(system, seed)
    corpus = workshop.corpora_of(system, module)["val"]
    return validation(systems[system].family, corpus, workshop, queries)(module)


def validation_sample(corpus: Corpus, queries: int) -> tuple[IndexArray, IndexArray]:
    """Return image and caption queries, always the same ones for a corpus.

    As many of both: half of RSUM is the images', and with fewer of them their chance alone would
    choose the weights.
    """
    generator = np.random.default_rng(0)
    chosen = [
        generator.permutation(n)[:queries] for n in (corpus.image_count, len(corpus.captions))
    ]
    return np.sort(chosen[0]), np.sort(chosen[1])


def _rsum(found: Embeddings, corpus: Corpus) -> float:
    return evaluate(found.images, found.captions, corpus.caption_image).rsum


def _sampled_rsum(
    scorer: PairScorer,
    corpus: Corpus,
    sample: tuple[IndexArray, IndexArray],
    precision: Precision,
) -> float:
    states = prepare_corpus(scorer, corpus, precision=precision)
    images, captions = sample
    owner = corpus.caption_image
    truth = image_positives(owner, corpus.image_count).select(images)
    i2t = score_rows(scorer, *states, images, "i2t", precision=precision, progress=True)
    t2i = score_rows(scorer, *states, captions, "t2i", precision=precision, progress=True)
    found = direction_metrics(i2t, truth), direction_metrics(t2i, owner[captions])
    return sum(sum(metrics.recall.values()) for metrics in found)
