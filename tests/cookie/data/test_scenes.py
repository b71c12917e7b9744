"""The generated data set as a whole."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cookie.data.catalog import can_grow, load_dataset
from cookie.data.dataset import datasets, growers
from cookie.data.scenes import SMOKE, SceneCounts, generate_scenes, more_scenes

COUNTS = SceneCounts(train=60, val=20, test=30)
DATASET = generate_scenes(COUNTS)


def test_the_same_seed_gives_the_same_captions_on_every_machine() -> None:
    assert DATASET.sha256[:16] == "3bee5fea43dc4f9c"
    assert DATASET.split("test").captions[:5] == (
        "there is a shiny blue ring and a little green cross",
        "a tiny glossy blue ring is left of a little plain green cross",
        "a small dull green cross is to the right of a small glossy blue ring",
        "there is a small green cross and a little polished blue hoop, but nothing white",
        "two things in total, all of them small, exactly one of them green",
    )


def test_generation_is_repeatable_and_depends_on_the_seed() -> None:
    assert generate_scenes(COUNTS).sha256 == DATASET.sha256
    assert generate_scenes(COUNTS, seed=1).sha256 != DATASET.sha256


@pytest.mark.parametrize(("name", "images"), [("train", 60), ("val", 20), ("test", 30)])
def test_splits_have_their_sizes_and_five_captions_an_image(name: str, images: int) -> None:
    split = DATASET.split(name)
    assert len(split) == len(split.images) == images
    assert split.caption_image.tolist() == [index for index in range(images) for _ in range(5)]
    assert split.facts()["captions_per_image"] == {"5": images}


def test_more_training_images_leave_the_others_as_they_are() -> None:
    """They are drawn after all others, and none repeats what is held out."""
    small, large = load_dataset("scenes", preset="smoke"), growers["scenes"]("smoke", 4.0)
    assert large.sha256 != small.sha256
    for name in ("val", "test"):
        ours, theirs = large.split(name), small.split(name)
        assert ours.captions == theirs.captions
        assert ours.scenes == theirs.scenes
        assert ours.image_names == theirs.image_names
    train, before = large.split("train"), small.split("train")
    assert len(train) == 4 * len(before)
    assert train.captions[: len(before.captions)] == before.captions
    keys = [scene.key for split in large.splits.values() for scene in split.scenes or ()]
    assert len(set(keys)) == len(keys)
    assert growers["scenes"]("smoke", 1.0).sha256 == small.sha256


def test_only_what_is_generated_can_grow() -> None:
    assert can_grow("scenes")
    assert not can_grow("flickr8k")


def test_no_picture_occurs_twice_in_meaning() -> None:
    keys = [scene.key for split in DATASET.splits.values() for scene in split.scenes or ()]
    assert len(set(keys)) == len(keys) == 110


def test_most_pictures_have_a_hard_negative_in_their_own_split() -> None:
    for split in DATASET.splits.values():
        assert split.scenes is not None
        families = Counter(scene.family for scene in split.scenes)
        assert set(families.values()) == {1, 2, 3}
        related = sum(count for count in families.values() if count > 1)
        assert related > len(split) / 2


def test_hard_negatives_share_background_and_differ_in_pixels() -> None:
    split = DATASET.split("test")
    assert split.scenes is not None
    pairs = 0
    for index in range(1, len(split)):
        first, second = split.scenes[index - 1], split.scenes[index]
        if first.family == second.family:
            pairs += 1
            assert first.background == second.background
            images = [np.asarray(split.images.load(i, 64)).astype(int) for i in (index - 1, index)]
            assert np.abs(images[0] - images[1]).sum() > 500
    assert pairs > 5


def test_a_larger_training_split_leaves_the_others_alone() -> None:
    larger = generate_scenes(SceneCounts(train=90, val=20, test=30))
    for name in ("val", "test"):
        assert larger.split(name).captions == DATASET.split(name).captions
        assert larger.split(name).scenes == DATASET.split(name).scenes


def test_a_smaller_test_split_is_the_beginning_of_a_larger_one() -> None:
    smaller = generate_scenes(SceneCounts(train=0, val=0, test=12)).split("test")
    assert smaller.captions == DATASET.split("test").captions[:60]


def test_presets_decide_the_size(tmp_path: Path) -> None:
    smoke = load_dataset("scenes", tmp_path / "nowhere", preset="smoke")
    assert [len(split) for split in smoke.splits.values()] == [SMOKE.train, SMOKE.val, SMOKE.test]
    assert "scenes" in datasets
    usual = load_dataset("scenes", tmp_path / "nowhere")
    assert [len(split) for split in usual.splits.values()] == [4000, 300, 300]
    assert usual.sha256.startswith("72374484630c")  # as docs/data.md states


def test_further_pictures_mean_nothing_that_is_there_already() -> None:
    more = more_scenes(DATASET, 240)
    assert list(more.splits) == ["train"]
    split = more.split("train")
    assert split.scenes is not None
    keys = {scene.key for scene in split.scenes}
    assert len(keys) == len(split) == 240
    known = {scene.key for each in DATASET.splits.values() for scene in each.scenes or ()}
    assert not keys & known
    assert set(split.image_names).isdisjoint(DATASET.split("train").image_names)
    assert more.sha256 == more_scenes(DATASET, 240).sha256
    assert more.sha256 not in (DATASET.sha256, more_scenes(DATASET, 239).sha256)


def test_further_pictures_avoid_what_they_would_have_shown() -> None:
    """The data set given their own first pictures, they have to come out different."""
    first = more_scenes(DATASET, 12)
    holding = dataclasses.replace(DATASET, splits={**DATASET.splits, "more": first.split("train")})
    known = {scene.key for scene in first.split("train").scenes or ()}
    again = more_scenes(holding, 12).split("train").scenes
    assert again is not None
    assert not known & {scene.key for scene in again}
