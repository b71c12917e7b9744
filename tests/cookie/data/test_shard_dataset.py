"""Shards and folders as data sets: the same batches as from anywhere else, split and counted."""

from __future__ import annotations

import dataclasses
import io
import logging
import os
import tarfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from cookie.config import Config
from cookie.data import corpus as corpus_module
from cookie.data import lazy_pixels, shard_dataset
from cookie.data.catalog import load_dataset
from cookie.data.dataset import RetrievalDataset
from cookie.data.lazy_pixels import LazyPixels
from cookie.data.shard_images import ShardImages
from cookie.data.shard_writer import samples_of, write_shards
from cookie.data.shards import read_shard
from cookie.data.tokenizer import tokenizer_for
from cookie.errors import DataError, UserError
from cookie.features.corpora import build_corpora
from cookie.interfaces import Corpus, TrainBatch
from cookie.presets import preset
from cookie.training.distributed import Processes
from cookie.training.order import pair_batches
from cookie.training.step import Stepper
from tests.cookie.data.photographs import jpeg
from tests.cookie.data.shard_files import corpus as write_corpus
from tests.cookie.data.shard_files import sample, write_tar
from tests.cookie.training.toy import ToySystem

SIZE = 32


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every corpus of shards for one that is too large to keep."""
    monkeypatch.setattr(lazy_pixels, "KEPT", 0)


@pytest.fixture(scope="module")
def scenes() -> RetrievalDataset:
    return load_dataset("scenes", preset="smoke")


@pytest.fixture(scope="module")
def root(scenes: RetrievalDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated data as shards, and the same as loose files."""
    folder = tmp_path_factory.mktemp("root")
    for part in ("train", "val"):
        paths = write_shards(samples_of(scenes.split(part), SIZE), folder / "shards" / part, 10)
        loose = folder / "loose" / part
        loose.mkdir(parents=True)
        for path in paths:
            with tarfile.open(path) as tar:
                tar.extractall(loose, filter="data")
    return folder


def config(broken: int = 0) -> Config:
    base = preset("smoke")
    return dataclasses.replace(base, train=dataclasses.replace(base.train, broken_images=broken))


def train_corpus(dataset: RetrievalDataset, broken: int = 0) -> Corpus:
    settings = config(broken)
    tokenizer = tokenizer_for(settings.text, dataset.split("train").captions)
    return build_corpora(dataset, settings, tokenizer, device="cpu")["train"]


def batches(dataset: RetrievalDataset, count: int = 6) -> list[TrainBatch]:
    """The first training batches with all views, over more than an epoch."""
    system = ToySystem()
    system.image_views, system.text_view = 2, "delete"
    corpus, settings = train_corpus(dataset), config()
    stepper = Stepper(system, corpus, settings, 3, Processes(), torch.device("cpu"))
    order = pair_batches(corpus.caption_image, settings.train.batch_size, 3)
    return [stepper.batch(step, next(order)) for step in range(count)]


def assert_same(one: TrainBatch, other: TrainBatch) -> None:
    for ours, theirs in (
        (one.images, other.images),
        (one.images_second, other.images_second),
    ):
        assert ours is not None
        assert theirs is not None
        assert torch.equal(ours.data, theirs.data)
    for words, others in ((one.texts, other.texts), (one.texts_second, other.texts_second)):
        assert words is not None
        assert others is not None
        assert torch.equal(words.ids, others.ids)
        assert torch.equal(words.mask, others.mask)


@pytest.mark.parametrize("form", ["shards", "loose"])
@pytest.mark.parametrize("kept", [0, lazy_pixels.KEPT])
def test_shards_give_the_batches_of_any_other_corpus(
    root: Path,
    scenes: RetrievalDataset,
    form: str,
    kept: int,
    monkeypatch: pytest.MonkeyPatch,
):
    expected = batches(scenes)
    monkeypatch.setattr(lazy_pixels, "KEPT", kept)
    dataset = load_dataset(form, root)
    assert isinstance(dataset.split("train").images, ShardImages)
    for ours, theirs in zip(batches(dataset), expected, strict=True):
        assert_same(ours, theirs)


def test_the_splits_are_the_folders(root: Path, scenes: RetrievalDataset):
    for form in ("shards", "loose"):
        dataset = load_dataset(form, root)
        assert dataset.splits.keys() == {"train", "val"}
        for part, split in dataset.splits.items():
            assert split.captions == scenes.split(part).captions
            assert (split.caption_image == scenes.split(part).caption_image).all()
            assert len(set(split.image_names)) == len(split)


def test_two_processes_read_halves_of_a_batch(root: Path, lazy: None):
    dataset = load_dataset("shards", root)
    asked: list[set[int]] = []
    for rank in range(2):
        corpus, settings = train_corpus(dataset), config()
        processes = Processes(rank, 2)
        stepper = Stepper(ToySystem(), corpus, settings, 3, processes, torch.device("cpu"))
        seen: set[int] = set()
        real = corpus.images

        def images(indices, generator=None, real=real, seen=seen):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            seen.update(indices.tolist())
            return real(indices, generator)

        corpus.images = images  # type: ignore[method-assign]
        batch = stepper.batch(0, next(pair_batches(corpus.caption_image, 16, 3)))
        assert len(batch) == 8
        asked.append(seen)
    whole = next(pair_batches(corpus.caption_image, 16, 3))
    assert not asked[0] & asked[1]
    assert asked[0] | asked[1] == set(corpus.caption_image[whole])


def test_an_image_is_decoded_once_for_both_views(
    root: Path, lazy: None, monkeypatch: pytest.MonkeyPatch
):
    loaded: list[int] = []
    real = ShardImages.load

    def load(self: ShardImages, index: int, size: int) -> object:
        loaded.append(index)
        return real(self, index, size)

    monkeypatch.setattr(ShardImages, "load", load)
    batches(load_dataset("shards", root), 4)  # an epoch of 64 images
    assert sorted(loaded) == list(range(64))


def test_nothing_is_written_of_pixels_that_are_too_many(root: Path, lazy: None, home: Path):
    batches(load_dataset("shards", root), 1)
    assert sorted(path.name for path in (home / "cache").iterdir()) == ["shards"]


def test_lazy_pixels_are_rows_of_the_array(root: Path):
    images = load_dataset("shards", root).split("train").images
    assert isinstance(images, ShardImages)
    pixels = LazyPixels(images, 16)
    whole = np.stack([np.asarray(images.load(i, 16)).transpose(2, 0, 1) for i in range(64)])
    assert pixels.shape == whole.shape
    assert pixels.nbytes == whole.nbytes
    for rows in (np.array([5]), np.array([63, 0, 5]), np.array([], np.int64)):
        assert (pixels[rows] == whole[rows]).all()
    assert (pixels[10:20] == whole[10:20]).all()
    order = np.array([1, 2])
    first = pixels[order]
    order[0] = 7  # the caller's array is the caller's
    assert (pixels[order] == whole[order]).all()
    assert (first == whole[[1, 2]]).all()
    assert (pixels[np.array([1, 2])] == first).all()
    pixels[np.array([1, 2])][:] = 0
    assert (pixels[np.array([1, 2])] == first).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("share", [0.5, 0.0])
def test_a_gpu_gets_the_same_pixels(
    root: Path, lazy: None, share: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(corpus_module, "RESIDENT_SHARE", share)
    dataset, settings = load_dataset("shards", root), config()
    tokenizer = tokenizer_for(settings.text, dataset.split("train").captions)
    found = [
        build_corpora(dataset, settings, tokenizer, device=device)["train"]
        for device in ("cpu", "cuda")
    ]
    rows = np.array([3, 60, 3])
    ours, theirs = (corpus.images(rows).data.cpu() for corpus in found)
    assert torch.equal(ours, theirs)
    words, others = (corpus.texts(rows).ids.cpu() for corpus in found)
    assert torch.equal(words, others)


def harmed(folder: Path) -> Path:
    """Twenty-three samples and three that are broken in image, caption or both."""
    write_corpus(folder)
    files = {
        "x1.jpg": jpeg()[:200],
        "x1.txt": b"cut off",
        "x2.jpg": jpeg(),
        "x3.jpg": b"P6 90000 90000 255\n",
        "x3.txt": b"a bomb",
    }
    write_tar(folder / "00006.tar", files)
    return folder.parent


@pytest.mark.parametrize("kept", [0, lazy_pixels.KEPT])
def test_broken_samples_are_named_counted_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kept: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lazy_pixels, "KEPT", kept)
    dataset = load_dataset("mine", harmed(tmp_path / "mine"))
    with caplog.at_level(logging.WARNING):
        corpus = train_corpus(dataset, broken=3)
    assert all(f"'x{number}'" in caplog.text or f"/x{number}'" in caplog.text for number in "123")
    assert caplog.text.count("It is left out.") == 3
    names = dataset.split("train").image_names
    used = {names[index] for index in corpus.caption_image}
    assert len(used) == 22  # one is held out for validation
    assert not any("/x" in name for name in used)
    assert {"cut off", "a bomb"} & set(corpus.captions) == set()
    for indices in islice(pair_batches(corpus.caption_image, 16, 0), 4):
        assert corpus.images(corpus.caption_image[indices]).data.shape == (16, 3, SIZE, SIZE)
        assert len(corpus.texts(indices)) == 16


@pytest.mark.parametrize("kept", [0, lazy_pixels.KEPT])
@pytest.mark.parametrize("allowed", [0, 2])
def test_one_broken_sample_too_many_is_an_error(
    tmp_path: Path, allowed: int, kept: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lazy_pixels, "KEPT", kept)
    dataset = load_dataset("mine", harmed(tmp_path / "mine"))
    expected = "one more than the 2 of train.broken_images" if allowed else "x1"
    with pytest.raises(DataError, match=expected):
        train_corpus(dataset, allowed)


def test_broken_samples_for_validation_are_an_error(tmp_path: Path):
    for part in ("train", "val"):
        write_corpus(tmp_path / "mine" / part)
    files = {"x.jpg": jpeg()[:200], "x.txt": b"words"}
    write_tar(tmp_path / "mine" / "val" / "00006.tar", files)
    with pytest.raises(DataError, match=r"'x' in .*val/00006\.tar' is broken"):
        train_corpus(load_dataset("mine", tmp_path), broken=9)


def test_an_image_that_changed_while_training_is_named(tmp_path: Path, lazy: None):
    write_corpus(tmp_path / "mine")
    corpus = train_corpus(load_dataset("mine", tmp_path))
    for path in (tmp_path / "mine").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"Image '0000\d/k0\d\d' in '.*0000\d\.tar' is no image"):
        corpus.images(np.arange(4))
    for path in (tmp_path / "mine").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"'.*\.tar' cannot be read"):
        corpus.images(np.arange(4))


@pytest.mark.parametrize(("count", "held"), [(2, 1), (23, 1), (40, 2), (60, 3)])
def test_without_validation_some_are_held_out_evenly(tmp_path: Path, count: int, held: int):
    write_corpus(tmp_path / "mine", count, 7)
    dataset = load_dataset("mine", tmp_path)
    train, val = dataset.split("train"), dataset.split("val")
    assert (len(train), len(val)) == (count - held, held)
    everything = sorted((*train.image_names, *val.image_names))
    assert len(set(everything)) == count
    places = [everything.index(name) for name in val.image_names]
    assert places == [count * place // held for place in range(held)]
    assert val.captions == tuple(c for place in places for c in sample(place).captions)
    assert load_dataset("mine", tmp_path).sha256 == dataset.sha256


def test_no_more_than_a_thousand_are_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shard_dataset, "HELD_OUT", 2)
    write_corpus(tmp_path / "mine", 60, 30)
    assert len(load_dataset("mine", tmp_path).split("val")) == 2


def test_keys_may_repeat_from_shard_to_shard(tmp_path: Path):
    for number in range(3):
        files = {"0.jpg": jpeg(50 * number), "0.txt": f"number {number}".encode()}
        (tmp_path / "mine" / "deep").mkdir(parents=True, exist_ok=True)
        write_tar(tmp_path / "mine" / "deep" / f"{number}.tar", files)
    dataset = load_dataset("mine", tmp_path)
    names = (*dataset.split("val").image_names, *dataset.split("train").image_names)
    assert names == ("deep/0/0", "deep/1/0", "deep/2/0")


def test_what_changes_the_data_changes_the_hash(tmp_path: Path):
    found = set()
    for name, count in (("one", 23), ("same", 23), ("other", 24)):
        write_corpus(tmp_path / name, count)
        found.add(load_dataset(name, tmp_path).sha256)
    path = tmp_path / "one" / "00000.tar"
    samples = list(read_shard(path))
    samples[0] = dataclasses.replace(samples[0], captions=("another", "one"))
    write_shards(samples, tmp_path / "one")
    found.add(load_dataset("one", tmp_path).sha256)
    assert len(found) == 3


def test_paths_and_links_lead_nowhere(tmp_path: Path):
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    (tmp_path / "mine").mkdir()
    files = {"../secret.txt": b"words", "/etc/a.jpg": jpeg(), "b.jpg": jpeg(), "b.txt": b"fine"}
    path = write_tar(tmp_path / "mine" / "x.tar", {**files, "c.jpg": jpeg(), "c.txt": b"fine"})
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("../secret.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.jpg")
        tar.addfile(link)
    dataset = load_dataset("mine", tmp_path)
    images = dataset.split("train").images
    assert isinstance(images, ShardImages)
    assert len(images.faults) == 2
    assert {*dataset.split("train").captions, *dataset.split("val").captions} == {"fine"}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"x.tar.gz": b"x"}, "is compressed and cannot be read in place: gunzip it"),
        ({"x.tar": b"rubbish"}, "is no whole tar file"),
        ({"notes.txt": b"words"}, "holds no samples to train on"),
        ({"val/x.txt": b"words"}, "holds no samples to train on"),
        ({"a.jpg": jpeg(), "a.txt": b"words"}, "holds 1 usable samples: two are the least"),
        ({"a.jpg": jpeg()}, r"has no dataset_mine\.json, no shards, and no images with captions"),
        ({}, r"has no dataset_mine\.json, no shards, and no images with captions"),
    ],
)
def test_folders_without_samples_are_refused(
    tmp_path: Path, files: dict[str, bytes], sentence: str
):
    (tmp_path / "mine").mkdir()
    for name, content in files.items():
        (tmp_path / "mine" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        load_dataset("mine", tmp_path)


def test_what_begins_with_a_dot_is_no_shard(tmp_path: Path):
    write_corpus(tmp_path / "mine")
    expected = load_dataset("mine", tmp_path)
    (tmp_path / "mine" / "._00000.tar").write_bytes(b"rubbish")
    assert load_dataset("mine", tmp_path).sha256 == expected.sha256


def test_a_folder_of_any_names_is_a_data_set(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    for stem in (os.fsdecode(b"caf\xe9"), "2020.1", "2020.2"):
        (tmp_path / "mine" / f"{stem}.jpg").write_bytes(jpeg())
        (tmp_path / "mine" / f"{stem}.json").write_text('{"caption": "words"}')
    dataset = load_dataset("mine", tmp_path)
    assert len(dataset.sha256) == 64
    assert train_corpus(dataset).images(np.arange(2)).data.shape == (2, 3, SIZE, SIZE)


def test_webdatasets_own_shards_are_read(tmp_path: Path):
    webdataset = pytest.importorskip("webdataset")
    (tmp_path / "mine").mkdir()
    with webdataset.TarWriter(str(tmp_path / "mine" / "x.tar")) as writer:
        for number in range(4):
            text = f"words {number}"
            writer.write({"__key__": f"{number:03d}", "jpg": jpeg(50 * number), "txt": text})
    train = load_dataset("mine", tmp_path).split("train")
    assert train.captions == ("words 1", "words 2", "words 3")
    picture = np.asarray(train.images.load(0, 16))
    expected = io.BytesIO(jpeg(50))
    from PIL import Image

    original = Image.open(expected)
    original.draft("RGB", (16, 16))
    resized = original.convert("RGB").resize((16, 16), Image.Resampling.BICUBIC)
    assert (picture == np.asarray(resized)).all()
