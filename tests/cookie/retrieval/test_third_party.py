"""Equality with other people's evaluators: random, tied and half-precision scores, COCO ids."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from cookie.retrieval import RetrievalMetrics, direction_metrics, evaluate, evaluate_scores, topk
from cookie.retrieval.labels import coco_ids, coco_labels
from cookie.retrieval.protocols import evaluate_folds, evaluate_labels

KS = (1, 5, 10)
CAPTION_IMAGE = np.random.default_rng(0).permutation(np.repeat(np.arange(60), 5))


def scores_of(kind: str) -> torch.Tensor:
    """(60, 300) scores with a signal: distinct, rounded so that many tie, or half precision."""
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(60, 300, generator=generator)
    scores[CAPTION_IMAGE, np.arange(300)] += 2.0
    if kind == "tied":
        return (4 * scores).round() / 4
    return scores.half() if kind == "half" else scores


@pytest.mark.parametrize("kind", ["random", "tied", "half"])
def test_clip_benchmark(kind: str) -> None:
    module = pytest.importorskip("clip_benchmark.metrics.zeroshot_retrieval")
    scores = scores_of(kind)
    positive = torch.zeros_like(scores, dtype=torch.bool)
    positive[CAPTION_IMAGE, np.arange(300)] = True
    found = evaluate_scores(scores, CAPTION_IMAGE)
    for direction, table, truth in (
        (found.i2t, scores, positive),
        (found.t2i, scores.T, positive.T),
    ):
        for k in KS:
            hits = module.batchify(module.recall_at_k, table, truth, 64, "cpu", k=k) > 0
            theirs = 100 * float(hits.float().mean())
            # topk leaves ties open there: it must lie within our bounds, and be equal without
            assert direction.pessimistic[k] - 1e-4 <= theirs <= direction.optimistic[k] + 1e-4
            if kind == "random":
                assert theirs == pytest.approx(direction.recall[k])


@pytest.mark.parametrize("kind", ["random", "half"])
def test_torchmetrics_hit_rate(kind: str) -> None:
    module = pytest.importorskip("torchmetrics.functional.retrieval")
    scores = scores_of(kind).T[:80]
    found = direction_metrics(scores, CAPTION_IMAGE[:80])
    for k in KS:
        hits = [
            module.retrieval_hit_rate(row.float(), torch.arange(60) == int(image), top_k=k)
            for row, image in zip(scores, CAPTION_IMAGE, strict=False)
        ]
        theirs = 100 * float(torch.stack(hits).mean())
        assert found.pessimistic[k] - 1e-4 <= theirs <= found.optimistic[k] + 1e-4
        if kind == "random":
            assert theirs == pytest.approx(found.recall[k])


@pytest.fixture(scope="module")
def coco() -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings for the real COCO test ids: captions are their image and noise."""
    pytest.importorskip("eccv_caption")
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(5000, 24, generator=generator)
    captions = images[coco_ids().caption_image]
    captions = captions + 1.6 * torch.randn(captions.shape, generator=generator)
    unit = torch.nn.functional.normalize
    return unit(images, dim=1), unit(captions, dim=1)


@pytest.fixture(scope="module")
def eccv() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("eccv_caption").Metrics()


def ranked(queries: torch.Tensor, gallery: torch.Tensor, k: int, ids: tuple) -> dict:
    """Query id -> ranked gallery ids, as eccv-caption wants them."""
    query_ids, gallery_ids = ids
    found = gallery_ids[topk(queries, gallery, k).indices.numpy()]
    return dict(zip(query_ids.tolist(), found.tolist(), strict=True))


def check(found: RetrievalMetrics, theirs: dict, k: int) -> None:
    for name in ("i2t", "t2i"):
        assert getattr(found, name).recall[k] == pytest.approx(100 * theirs[name], abs=1e-9)


def test_eccv_caption_on_real_coco_ids(coco: tuple, eccv) -> None:  # noqa: ANN001
    ids = coco_ids()
    images, captions = coco
    items = {
        "i2t": ranked(images, captions, 60, (ids.images, ids.captions)),
        "t2i": ranked(captions, images, 60, (ids.captions, ids.images)),
    }
    plain = evaluate(images, captions, ids.caption_image)
    cxc = evaluate_labels(images, captions, coco_labels("cxc", ids.images, ids.captions))
    for k in KS:
        check(plain, eccv.coco_5k_recalls(items, "all", K=k), k)
        check(cxc, eccv.cxc_recalls(items, "all", K=k), k)
    theirs = eccv.eccv_metrics(items, "all")
    ours = evaluate_labels(images, captions, coco_labels("eccv", ids.images, ids.captions))
    check(ours, theirs["eccv_r1"], 1)
    for name in ("i2t", "t2i"):
        direction = getattr(ours, name)
        assert direction.map_at_r == pytest.approx(100 * theirs["eccv_map_at_r"][name])
        assert direction.r_precision == pytest.approx(100 * theirs["eccv_rprecision"][name])


def test_eccv_captions_fold_on_real_coco_ids(coco: tuple, eccv) -> None:  # noqa: ANN001
    """Theirs filters full rankings in Python: a fold's first queries are enough to compare."""
    module = pytest.importorskip("eccv_caption._metrics")
    ids = coco_ids()
    images, captions = coco
    found = evaluate_folds(images, captions, ids.caption_image)
    fold, few = 3, 40
    own = slice(fold * 1000, fold * 1000 + few)
    sides = (
        (found.i2t, ids.images[own], images[own], captions, ids.captions, "i2t", 5),
        (found.t2i, ids.captions[fold * 5000 :][:few], captions[fold * 5000 :][:few], images,
         ids.images, "t2i", 1),
    )  # fmt: skip
    for direction, names, queries, gallery, gallery_ids, side, share in sides:
        items = ranked(queries, gallery, len(gallery), (names, gallery_ids))
        truth = {int(name): eccv.coco_gts[side][int(name)] for name in names}
        size = 1000 * share
        members = set(gallery_ids[fold * size : (fold + 1) * size].tolist())
        start = fold * (1000 if side == "i2t" else 5000)
        for k in KS:
            theirs = module.compute_coco1k_r_at_k(items, truth, members, k)
            assert np.mean(direction.ranks[start : start + few] < k) == pytest.approx(theirs)
