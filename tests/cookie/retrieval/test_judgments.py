"""Correlation with people: tau by its definition, and the files' own rules."""

from __future__ import annotations

import gzip
import json
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from cookie.errors import DataError
from cookie.retrieval import EmbeddingError
from cookie.retrieval.judgments import Judgments, clipscore, flickr8k_crowd, flickr8k_expert

CAPTIONS = {
    "a.jpg#0": "A dog runs .",
    "a.jpg#1": "A brown dog",
    "b.jpg#0": "A cat sits .",
    "b.jpg#1": "A  dog runs .",
}


def signs(values: list[float]) -> list[int]:
    return [int(np.sign(first - second)) for first, second in combinations(values, 2)]


def tau_b(x: list[float], y: list[float]) -> float:
    """(concordant - discordant) / sqrt(pairs untied in x * pairs untied in y)."""
    left, right = signs(x), signs(y)
    balance = sum(a * b for a, b in zip(left, right, strict=True))
    return balance / np.sqrt(sum(map(abs, left)) * sum(map(abs, right)))


def tau_c(x: list[float], y: list[float]) -> float:
    """Stuart's: 2 (concordant - discordant) / (n^2 (m - 1) / m), m the fewer distinct values."""
    balance = sum(a * b for a, b in zip(signs(x), signs(y), strict=True))
    distinct = min(len(set(x)), len(set(y)))
    return 2 * balance / (len(x) ** 2 * (distinct - 1) / distinct)


@pytest.mark.parametrize("variant", ["b", "c"])
def test_correlation_is_kendalls_tau_over_every_single_rating(variant: str) -> None:
    rng = np.random.default_rng(0)
    ratings, scores = rng.integers(1, 5, (12, 3)).astype(float), rng.random(12).round(1)
    judged = Judgments(("x",) * 12, ("x#0",) * 12, ratings, variant)  # type: ignore[arg-type]
    flat = [(score, rating) for score, row in zip(scores, ratings, strict=True) for rating in row]
    expected = {"b": tau_b, "c": tau_c}[variant]([s for s, _ in flat], [r for _, r in flat])
    assert judged.correlation(scores) == pytest.approx(100 * expected)


def test_expert_leaves_out_an_images_own_words(tmp_path: Path) -> None:
    lines = ["a.jpg\tb.jpg#0\t1\t1\t2", "a.jpg\ta.jpg#1\t4\t4\t4", "a.jpg\tb.jpg#1\t4\t4\t3"]
    (tmp_path / "expert.txt").write_text("\n".join(lines) + "\n")
    judged = flickr8k_expert(tmp_path / "expert.txt", CAPTIONS)
    # b.jpg#1 says what a.jpg#0 says, spacing aside: it is one of a.jpg's own captions
    assert (judged.images, judged.captions) == (("a.jpg",), ("b.jpg#0",))
    assert judged.ratings.tolist() == [[1, 1, 2]]
    assert judged.variant == "c"


def test_crowd_keeps_all_pairs_and_the_share_of_yes(tmp_path: Path) -> None:
    text = "a.jpg\ta.jpg#0\t1\t3\t0\na.jpg\tb.jpg#0\t0.3333\t1\t2\n"
    (tmp_path / "crowd.txt.gz").write_bytes(gzip.compress(text.encode()))
    judged = flickr8k_crowd(tmp_path / "crowd.txt.gz")
    assert judged.ratings.tolist() == [[1.0], [0.3333]]
    assert judged.variant == "b"


def test_clipscore_clips_negative_cosines() -> None:
    assert clipscore([-0.2, 0.0, 0.4]).tolist() == [0.0, 0.0, 1.0]


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "expert.txt"
    with pytest.raises(DataError, match="no file"):
        flickr8k_crowd(path)
    path.write_text("a.jpg\tb.jpg#0\t1\n")
    with pytest.raises(DataError, match=r"Line 1 of .* has 3 columns"):
        flickr8k_crowd(path)
    path.write_text("a.jpg\tb.jpg#7\t1\t2\t3\n")
    with pytest.raises(DataError, match=r"'b\.jpg#7', which is not among"):
        flickr8k_expert(path, CAPTIONS)
    path.write_text("a.jpg\tb.jpg#0\tx\t2\t3\n")
    with pytest.raises(DataError, match="no number"):
        flickr8k_expert(path, CAPTIONS)
    (tmp_path / "broken.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot be read"):
        flickr8k_crowd(tmp_path / "broken.gz")


@pytest.mark.parametrize("scores", [[1.0], [1.0, np.nan]])
def test_scores_must_be_one_per_pair_and_finite(scores: list[float]) -> None:
    judged = Judgments(("x", "y"), ("x#0", "y#0"), np.ones((2, 1)), "b")
    with pytest.raises(EmbeddingError, match="2 judged pairs"):
        judged.correlation(scores)


@pytest.mark.data
def test_flickr8k_has_the_published_numbers_of_pairs() -> None:
    folder = Path(os.environ.get("COOKIE_DATA", "data")) / "flickr8k"
    if not folder.is_dir():
        pytest.skip("flickr8k is not there")
    content = json.loads(gzip.decompress((folder / "dataset_flickr8k.json.gz").read_bytes()))
    captions = {
        f"{image['filename']}#{number}": sentence["raw"]
        for image in content["images"]
        for number, sentence in enumerate(image["sentences"])
    }
    expert = flickr8k_expert(folder / "ExpertAnnotations.txt.gz", captions)
    assert (len(expert), expert.ratings.size) == (5664, 16_992)
    assert len(flickr8k_crowd(folder / "CrowdFlowerAnnotations.txt.gz")) == 47_830
    people = expert.ratings.mean(axis=1)
    assert expert.correlation(people) > 65  # tau-c of people with themselves
    assert abs(expert.correlation(np.random.default_rng(0).random(len(expert)))) < 3
