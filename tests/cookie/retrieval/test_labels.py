"""Label sets: the packaged ones by their published counts, and rated pairs from CSV."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from cookie.errors import DataError, UserError
from cookie.retrieval import labels as module
from cookie.retrieval.labels import coco_ids, coco_labels, rated_pairs, siblings, union
from cookie.retrieval.positives import Positives

HEADER = "image1,image2,agg_score,sampling_method\n"


def rows(positives: Positives) -> list[list[int]]:
    return [positives.of(query).tolist() for query in range(len(positives))]


def test_coco_test_split_has_five_thousand_images_in_five_folds() -> None:
    pytest.importorskip("eccv_caption")
    ids = coco_ids()
    assert (len(set(ids.images)), len(set(ids.captions))) == (5000, 25_000)
    assert np.bincount(ids.caption_image).tolist() == [5] * 5000
    folds = ids.caption_image.reshape(5, 5000) // 1000
    assert [set(fold) for fold in folds.tolist()] == [{0}, {1}, {2}, {3}, {4}]


def test_label_sets_have_their_published_sizes() -> None:
    pytest.importorskip("eccv_caption")
    ids = coco_ids()
    sizes = {"original": (5000, 25_000), "cxc": (5000, 24_972), "eccv": (1261, 1332)}
    for name, expected in sizes.items():
        found = coco_labels(name, ids.images, ids.captions)  # type: ignore[arg-type]
        assert (len(found.i2t.answerable), len(found.t2i.answerable)) == expected
        assert found.absent == (2 if name == "eccv" else 0)
    plain = coco_labels("original", ids.images, ids.captions)
    assert plain.t2i.indices.tolist() == ids.caption_image.tolist()


def test_ids_that_are_missing_are_named() -> None:
    pytest.importorskip("eccv_caption")
    ids = coco_ids()
    with pytest.raises(DataError, match="not among the embeddings' ids"):
        coco_labels("eccv", ids.images[:100], ids.captions)


def test_the_package_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="pip install eccv-caption"):
        coco_ids()


def test_rated_pairs_count_from_the_threshold_in_both_directions(tmp_path: Path) -> None:
    text = HEADER + "a,b,3.0,x\nb,c,2.9,x\nc,d,5,x\na,z,5,x\nd,d,5,x\n"
    (tmp_path / "sis.csv").write_text(text)
    (tmp_path / "sis.csv.gz").write_bytes(gzip.compress(text.encode()))
    index = {name: row for row, name in enumerate("abcd")}
    for name in ("sis.csv", "sis.csv.gz"):
        found = rated_pairs(tmp_path / name, index, threshold=3.0)
        assert rows(found) == [[1], [0], [3], [2]]
    assert rows(rated_pairs(tmp_path / "sis.csv", index, 9.0)) == [[], [], [], []]


def test_broken_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        rated_pairs(tmp_path / "none.csv", {}, 3.0)
    for text in (HEADER + "a,b\n", HEADER + "a,b,much,x\n"):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(DataError, match="no CSV"):
            rated_pairs(tmp_path / "bad.csv", {}, 3.0)


def test_siblings_are_the_other_captions_of_the_image() -> None:
    caption_image = np.random.default_rng(0).integers(0, 6, 30)
    expected = [
        [
            other
            for other in range(30)
            if other != own and caption_image[other] == caption_image[own]
        ]
        for own in range(30)
    ]
    assert rows(siblings(caption_image)) == expected


def test_union_keeps_each_positive_once() -> None:
    first, second = Positives.from_lists([[1, 2], []]), Positives.from_lists([[2, 5], [0]])
    assert rows(union(first, second)) == [[1, 2, 5], [0]]
