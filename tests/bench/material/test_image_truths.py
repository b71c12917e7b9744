"""Ground truths of image retrieval: from scene graphs and from people, never from a model."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

from bench.cells.images import judge
from bench.material.image_truths import ImageTruth, caption_names, image_truths, tied
from cookie.data.catalog import load_dataset
from cookie.data.scenes import SceneCounts, generate_scenes
from cookie.retrieval.judgments import Judgments

ROOT = Path(os.environ.get("COOKIE_DATA", "data"))


def test_ratings_tie_images_both_ways_and_never_to_themselves() -> None:
    rated = Judgments(
        images=("a", "b", "a", "c", "x"),
        captions=("b#0", "a#1", "a#0", "b#2", "a#0"),
        ratings=np.array([[1.0, 2.0], [3.0, 4.0], [4.0, 4.0], [1.0, 1.0], [4.0, 4.0]]),
        variant="c",
    )
    found = tied(("a", "b", "c"), rated, lambda rating: rating)
    nothing = math.nan
    expected = [[nothing, 2.5, nothing], [2.5, nothing, 1.0], [nothing, 1.0, nothing]]
    np.testing.assert_array_equal(found, expected)


def test_scenes_have_their_graph_and_the_proxy(tmp_path: Path) -> None:
    dataset = generate_scenes(SceneCounts(train=4, val=4, test=12))
    graph, proxy = image_truths(dataset, tmp_path)
    assert (graph.name, proxy.name) == ("scene_graph", "caption_agreement")
    assert proxy.threshold is None
    for truth in (graph, proxy):
        assert np.isnan(np.diag(truth.gains)).all()
        assert np.nanmax(truth.gains) <= 1 + 1e-9
        np.testing.assert_allclose(truth.gains, truth.gains.T)


def test_captions_are_named_by_image_and_number() -> None:
    dataset = generate_scenes(SceneCounts(train=4, val=4, test=3))
    split, names = dataset.split("test"), caption_names(dataset)
    assert names[f"{split.image_names[1]}#0"] == split.captions[5]
    assert names[f"{split.image_names[2]}#4"] == split.captions[14]
    assert len(names) == 5 * 11


def test_judging_keeps_queries_that_can_be_judged() -> None:
    gains = np.array(
        [[math.nan, 1, 0, 1], [1, math.nan, 0, 1], [0, 0, math.nan, 1], [1, 1, 1, 1.0]]
    )
    scores = np.array([[9, 1, 2], [3, 9, 1], [0, 0, 9.0]])
    found = judge(scores, ImageTruth("x", gains, 0.5))
    assert found["query"] == [0, 1]  # the third image has nothing to gain among the first three
    assert found["ndcg"] == pytest.approx([100 / math.log2(3), 100], abs=1e-3)
    assert found["r_precision"] == [0.0, 100.0]
    assert "r_precision" not in judge(scores, ImageTruth("x", gains))


@pytest.mark.data
@pytest.mark.skipif(not (ROOT / "flickr8k").is_dir(), reason="flickr8k is not under COOKIE_DATA")
def test_people_agree_with_captions_on_photographs() -> None:
    """Images that people tie share more words: two sources that know nothing of each other."""
    truths = {truth.name: truth for truth in image_truths(load_dataset("flickr8k"), None)}
    assert list(truths) == ["expert", "crowd", "caption_agreement"]
    crowd, words = truths["crowd"].gains, truths["caption_agreement"].gains
    assert 1000 < (~np.isnan(crowd)).sum() < 200_000
    assert np.nanmean(words[crowd >= 0.5]) > 2 * np.nanmean(words[crowd == 0])
