"""The accuracy summary: intervals around the metrics, JSON, comparison of two systems."""

from __future__ import annotations

import json
from dataclasses import astuple

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from bench.measure.accuracy import AccuracySummary, compare, summarize_accuracy
from bench.measure.statistics import bootstrap_recall, paired_bootstrap, wilson
from cookie.retrieval import RetrievalMetrics, direction_metrics, evaluate

CAPTION_IMAGE = np.repeat(np.arange(60), np.arange(60) % 3 + 1)


def noisy(noise: float, seed: int = 0) -> RetrievalMetrics:
    """Captions are their image plus noise."""
    generator = torch.Generator().manual_seed(seed)
    images = normalize(torch.randn(60, 16, generator=generator))
    captions = images[CAPTION_IMAGE]
    captions = captions + noise / 4 * torch.randn(captions.shape, generator=generator)
    return evaluate(images, captions, CAPTION_IMAGE)


def summary(noise: float) -> AccuracySummary:
    return summarize_accuracy(noisy(noise), CAPTION_IMAGE, protocol="test", resamples=500)


def test_intervals_hold_the_estimate_and_equal_the_single_bootstrap() -> None:
    metrics = noisy(2.0)
    found = summarize_accuracy(metrics, CAPTION_IMAGE, protocol="test", resamples=500)
    for name, clusters in (("i2t", np.arange(60)), ("t2i", CAPTION_IMAGE)):
        ranks = getattr(metrics, name).ranks
        for k, alone in bootstrap_recall(ranks, clusters, resamples=500).items():
            assert astuple(found.intervals[name][k]) == pytest.approx(astuple(alone))
    assert found.rsum.low < found.rsum.estimate == metrics.rsum < found.rsum.high


def test_rsum_interval_is_of_the_sum_not_the_sum_of_intervals() -> None:
    found = summary(2.0)
    widths = [row.high - row.low for rows in found.intervals.values() for row in rows.values()]
    width = found.rsum.high - found.rsum.low
    assert max(widths) < width < sum(widths)


def test_a_perfect_system_has_no_uncertainty_left() -> None:
    found = summary(0.0)
    assert (found.rsum.low, found.rsum.estimate, found.rsum.high) == (600.0, 600.0, 600.0)


def test_samples_get_wilson_intervals() -> None:
    rng = np.random.default_rng(0)
    sample = np.sort(rng.choice(len(CAPTION_IMAGE), 40, replace=False))
    scores = rng.standard_normal((40, 60))
    t2i = direction_metrics(scores, CAPTION_IMAGE[sample])
    metrics = RetrievalMetrics(noisy(2.0).i2t, t2i)
    found = summarize_accuracy(metrics, CAPTION_IMAGE, protocol="test", sampled=True, resamples=200)
    assert found.intervals["t2i"][10] == wilson(int((t2i.ranks < 10).sum()), 40)
    assert found.to_dict()["sampled"]


def test_to_dict_is_json_with_ranks_counts_and_protocol() -> None:
    found = json.loads(json.dumps(summary(1.0).to_dict()))
    assert found["protocol"] == "test"
    assert len(found["t2i"]["ranks"]) == found["t2i"]["queries"] == len(CAPTION_IMAGE)
    assert set(found["intervals"]["i2t"]) == set(found["i2t"]["recall"]) == {"1", "5", "10"}


def test_compare_is_the_paired_bootstrap_of_the_ranks() -> None:
    first, second = summary(1.5).to_dict(), summary(3.0).to_dict()
    found = compare(first, second, "t2i", 5)
    expected = paired_bootstrap(first["t2i"]["ranks"], second["t2i"]["ranks"], CAPTION_IMAGE, 5)
    assert found == expected
    assert found.difference.estimate > 0


def test_compare_refuses_different_queries() -> None:
    first, second = summary(1.0).to_dict(), summary(1.0).to_dict()
    second["clusters"]["t2i"] = second["clusters"]["t2i"][:-1]
    with pytest.raises(ValueError, match="different queries"):
        compare(first, second, "t2i")
