"""The reader of Karpathy's JSON, on small sets written for the occasion."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cookie.data import karpathy
from cookie.data.catalog import load_dataset
from cookie.errors import DataError, UserError
from tests.cookie.data.photographs import Form, entry, jpeg, write_annotations, write_images

IMAGES = [
    entry("a.jpg", "train", 2),
    entry("b.jpg", "restval", 3),
    entry("c.jpg", "val", 1),
    entry("d.jpg", "test", 5),
    entry("e.jpg", "train", 4),
]
FILES = {f"{name}.jpg": jpeg(20 * k) for k, name in enumerate("abcde")}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("form", ["folder", "tar", "zip"])
def test_a_set_is_read_from_every_form(tmp_path: Path, form: Form, zipped: bool) -> None:
    write_annotations(tmp_path / "mine", IMAGES, zipped)
    write_images(tmp_path / "mine", FILES, form)
    dataset = load_dataset("mine", tmp_path)
    assert dataset.name == "mine"
    train = dataset.split("train")
    assert train.image_names == ("a.jpg", "b.jpg", "e.jpg")
    assert train.caption_image.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert train.caption_image.dtype == np.int64
    assert train.captions[2] == "caption 0 of b.jpg"
    assert abs(int(np.asarray(train.images.load(2, 8))[4, 4, 1]) - 80) <= 2
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 3,
        "val": 1,
        "test": 1,
    }
    assert dataset.facts()["splits"]["train"] == {
        "images": 3,
        "captions": 9,
        "captions_per_image": {"2": 1, "3": 1, "4": 1},
    }


def test_ids_are_kept_and_those_of_coco_preferred(tmp_path: Path) -> None:
    images = [entry("a.jpg", captions=1, cocoid=391895), entry("b.jpg", "test", 2)]
    write_annotations(tmp_path / "mine", images)
    write_images(tmp_path / "mine", FILES)
    dataset = load_dataset("mine", tmp_path)
    train, test = dataset.split("train"), dataset.split("test")
    assert train.image_ids is not None
    assert train.image_ids.tolist() == [391895]
    assert test.image_ids is not None
    assert test.image_ids.tolist() == [7]
    assert test.caption_ids is not None
    assert test.caption_ids.tolist() == [0, 1]


def test_the_hash_covers_captions_and_images_but_not_the_packing(tmp_path: Path) -> None:
    def digest(name: str, images: object, files: dict[str, bytes], form: Form, zipped: bool) -> str:
        write_annotations(tmp_path / name / "mine", images, zipped)
        write_images(tmp_path / name / "mine", files, form)
        return load_dataset("mine", tmp_path / name).sha256

    first = digest("1", IMAGES, FILES, "folder", False)
    assert len(first) == 64
    assert first == digest("2", IMAGES, FILES, "tar", True)
    assert first != digest("3", [entry("a.jpg", "test"), *IMAGES[1:]], FILES, "folder", False)
    assert first != digest("4", IMAGES, FILES | {"a.jpg": jpeg(9, 80, 80)}, "zip", False)


def test_coco_paths_are_found_with_their_folder(tmp_path: Path) -> None:
    images = [entry("1.jpg", filepath="train2014"), entry("1.jpg", "val", filepath="val2014")]
    write_annotations(tmp_path / "mine", images)
    files = {"train2014/1.jpg": jpeg(10), "val2014/1.jpg": jpeg(240)}
    write_images(tmp_path / "mine", files)
    dataset = load_dataset("mine", tmp_path)
    assert dataset.split("val").image_names == ("val2014/1.jpg",)
    assert np.asarray(dataset.split("val").images.load(0, 8))[4, 4, 1] > 230


def test_images_may_be_flat_though_the_entries_name_folders(tmp_path: Path) -> None:
    images = [entry("1.jpg", filepath="train2014"), entry("2.jpg", "val", filepath="val2014")]
    write_annotations(tmp_path / "mine", images)
    write_images(tmp_path / "mine", {"1.jpg": jpeg(10), "2.jpg": jpeg(240)})
    dataset = load_dataset("mine", tmp_path)
    assert dataset.split("val").image_names == ("val2014/2.jpg",)
    assert np.asarray(dataset.split("val").images.load(0, 8))[4, 4, 1] > 230


@pytest.mark.parametrize("there", ["train/", "", "val/"])
def test_no_image_stands_in_for_another_splits(tmp_path: Path, there: str) -> None:
    splits = ("train", "val", "test")
    images = [entry(f"{k}.jpg", split, filepath=split) for split in splits for k in range(8)]
    write_annotations(tmp_path / "mine", images)
    write_images(tmp_path / "mine", {f"{there}{k}.jpg": jpeg(k) for k in range(8)})
    sentence = r"'\w+/0\.jpg' and '\w+/0\.jpg', and 'images/(\w+/)?0\.jpg' in .*mine/images' would"
    with pytest.raises(DataError, match=sentence):
        load_dataset("mine", tmp_path)


def test_an_image_missing_in_its_own_folder_is_missing(tmp_path: Path) -> None:
    images = [entry("1.jpg", "train"), entry("2.jpg", "val", filepath="val")]
    write_annotations(tmp_path / "mine", images)
    files = {"1.jpg": jpeg(1), "train/2.jpg": jpeg(2), "val/3.jpg": jpeg(3)}
    write_images(tmp_path / "mine", files)
    with pytest.raises(DataError, match=r"lacks 1 of 1 images .* first 'val/2\.jpg'"):
        load_dataset("mine", tmp_path)


def test_white_space_in_captions_is_tidied(tmp_path: Path) -> None:
    image = entry("a.jpg", captions=1)
    image["sentences"][0]["raw"] = "  a dog\n runs . "
    write_annotations(tmp_path / "mine", [image])
    write_images(tmp_path / "mine", FILES)
    assert load_dataset("mine", tmp_path).split("train").captions == ("a dog runs .",)


def broken(**more: object) -> list[dict[str, Any]]:
    return [entry("a.jpg"), {**entry("b.jpg", "test"), **more}]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (broken(sentences=[]), r"dataset_mine\.json' has no captions for 'b\.jpg'"),
        (broken(sentences=None), r"has no captions for 'b\.jpg'"),
        (broken(sentences=[{"raw": " "}]), r"'b\.jpg' has an empty caption"),
        (broken(sentences=[{"tokens": ["a"]}]), r"not a caption file .*raw"),
        (broken(sentences=[{"raw": None}]), "a caption is None"),
        (broken(sentences="none"), "not a caption file"),
        ([entry("a.jpg", "tset")], r"'a\.jpg' into an unknown split 'tset'"),
        ([{**entry("a.jpg"), "split": ["test"]}], "not a caption file"),
        ([entry("../a.jpg")], r"outside its folder, '\.\./a\.jpg'"),
        ([entry("/etc/a.jpg")], r"outside its folder, '/etc/a\.jpg'"),
        ([entry("a.jpg", filepath="x/../..")], "outside its folder"),
        ([entry("a.jpg", filepath="/x")], "outside its folder"),
        ([entry("..\\a.jpg")], "outside its folder"),
        ([entry("a\ud83d.jpg")], r"half a character in the name 'a\\ud83d\.jpg'"),
        (
            [entry("a.jpg", sentences=[{"raw": "a \ud83d dog"}])],
            r"half a character in a caption of 'a\.jpg'",
        ),
        ([entry(3)], "not a caption file"),  # type: ignore[arg-type]
        ([entry("a.jpg"), entry("a.jpg", "test")], r"lists 'a\.jpg' 2 times"),
        ([], "lists no images"),
        (["a.jpg"], "not a caption file"),
        (None, "not a caption file"),
        ([entry("a.jpg"), entry("y.jpg"), entry("z.jpg")], r"lacks 2 of 3 images .*first 'y\.jpg'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, images: object, message: str) -> None:
    write_annotations(tmp_path / "mine", images)
    write_images(tmp_path / "mine", FILES)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset("mine", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"\xff\xfe", b'{"dataset": "mine"}', b'"images"', b"3"]
)
@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_a_file_that_is_something_else_is_named(tmp_path: Path, text: bytes, suffix: str) -> None:
    (tmp_path / "mine").mkdir()
    data = gzip.compress(text) if suffix.endswith("gz") else text
    (tmp_path / "mine" / f"dataset_mine{suffix}").write_bytes(data)
    with pytest.raises(DataError, match=r"dataset_mine\.json.* is not a caption file"):
        load_dataset("mine", tmp_path)


@pytest.mark.parametrize("keep", [0, 5, -9])
def test_a_cut_off_gz_is_named(tmp_path: Path, keep: int) -> None:
    path = write_annotations(tmp_path / "mine", IMAGES, zipped=True)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"dataset_mine\.json\.gz' (cannot be read|is not)"):
        load_dataset("mine", tmp_path)


@pytest.mark.parametrize("name", ["flickr8k", "flickr30k", "coco"])
def test_known_sets_must_have_their_counts(tmp_path: Path, name: str) -> None:
    write_annotations(tmp_path / name, IMAGES)
    write_images(tmp_path / name, FILES)
    with pytest.raises(DataError, match=rf"dataset_{name}\.json' has 3 train images where {name}"):
        load_dataset(name, tmp_path)


def test_the_published_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts alone, without images: each known split passes, one image less does not."""
    assert karpathy.EXPECTED["coco"] == {
        "train": (82_783 + 30_504,),
        "val": (5000,),
        "test": (5000,),
    }
    for name, splits in karpathy.EXPECTED.items():
        for missing in (None, *splits):
            entries = {
                split: karpathy._Entries(names=["x"] * (counts[-1] - (split == missing)))
                for split, counts in splits.items()
            }
            if missing is None:
                karpathy._check_counts(name, tmp_path, entries)
            else:
                with pytest.raises(DataError, match=f" {missing} images where {name}"):
                    karpathy._check_counts(name, tmp_path, entries)


def test_a_missing_root_folder_or_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data root '.*nowhere' is no folder.*COOKIE_DATA"):
        load_dataset("flickr8k", tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no folder '.*flickr8k', where 'flickr8k' would be: give"):
        load_dataset("flickr8k", tmp_path)
    (tmp_path / "flickr8k").mkdir()
    with pytest.raises(DataError, match=r"flickr8k' has no dataset_flickr8k\.json"):
        load_dataset("flickr8k", tmp_path)


def test_the_root_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_annotations(tmp_path / "data" / "mine", IMAGES)
    write_images(tmp_path / "data" / "mine", FILES)
    monkeypatch.delenv("COOKIE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    digest = load_dataset("mine").sha256
    monkeypatch.chdir("/")
    monkeypatch.setenv("COOKIE_DATA", str(tmp_path / "data"))
    assert load_dataset("mine").sha256 == digest
    with pytest.raises(UserError, match="Unknown dataset"):
        load_dataset("mine", tmp_path)


@pytest.mark.parametrize("name", ["flickr8", "..", ".", "", "a/b", "/etc", "mine\n"])
def test_unknown_names_are_no_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="Unknown dataset"):
        load_dataset(name, tmp_path)


def test_a_plain_json_is_preferred_to_a_zipped_one(tmp_path: Path) -> None:
    write_annotations(tmp_path / "mine", IMAGES[:1], zipped=True)
    write_annotations(tmp_path / "mine", IMAGES)
    write_images(tmp_path / "mine", FILES)
    assert len(load_dataset("mine", tmp_path).split("train")) == 3
    assert json.loads((tmp_path / "mine" / "dataset_mine.json").read_text())["dataset"] == "mine"
