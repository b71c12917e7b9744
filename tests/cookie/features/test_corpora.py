"""Cached features are what the encoders give, whichever engine computed them."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cookie.config import AugmentConfig, Config, Regime
from cookie.data.augment import ImageAugment, other_captions
from cookie.data.catalog import load_dataset
from cookie.data.corpus import PixelCorpus
from cookie.data.dataset import RetrievalDataset
from cookie.data.pixels import open_pixels
from cookie.data.tokenizer import Tokenizer
from cookie.errors import UserError
from cookie.features import builder as feature_builder
from cookie.features.corpora import Encoders, build_corpora
from cookie.features.corpus import FeatureCorpus
from cookie.interfaces import ImageBatch, TextBatch, TextView
from cookie.nn.encoders import build_text_encoder, build_visual_encoder
from cookie.presets import preset
from cookie.training.order import step_generator

CLOSE = {"rtol": 2e-3, "atol": 2e-3}
"""Float16 has a step of 2**-10 relative to its size."""


@pytest.fixture(scope="module")
def dataset() -> RetrievalDataset:
    return load_dataset("scenes", preset="smoke")


@pytest.fixture(scope="module")
def tokenizer(dataset: RetrievalDataset) -> Tokenizer:
    return Tokenizer.from_captions(dataset.split("train").captions)


@pytest.fixture(scope="module")
def config() -> Config:
    base = preset("smoke")
    text = dataclasses.replace(base.text, layers=2)
    augment = AugmentConfig(color=0.2, flip=0.5, text="delete", text_rate=0.4)
    return dataclasses.replace(base, regime="frozen", text=text, augment=augment)


@pytest.fixture(scope="module")
def encoders(config: Config, tokenizer: Tokenizer) -> Encoders:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoders(
            build_visual_encoder(config.vision),
            build_text_encoder(config.text, tokenizer.vocabulary_size),
        )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=["torch", "openvino"])
def corpora(
    request: pytest.FixtureRequest,
    dataset: RetrievalDataset,
    config: Config,
    tokenizer: Tokenizer,
    encoders: Encoders,
    cache: Path,
) -> dict[str, FeatureCorpus]:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "torch":
            patch.setattr(importlib.util, "find_spec", lambda name: None)
        made = build_corpora(
            dataset,
            config,
            tokenizer,
            device="cpu",
            cache_dir=cache / request.param,
            encoders=encoders,
        )
    return {name: corpus for name, corpus in made.items() if isinstance(corpus, FeatureCorpus)}


@torch.inference_mode()
def encoded(encoders: Encoders, pixels: Tensor) -> Tensor:
    return encoders.image.eval()(ImageBatch(pixels=pixels))


@torch.inference_mode()
def states(encoders: Encoders, texts: TextBatch, layers: int | None = None) -> Tensor:
    return encoders.text.eval()(TextBatch(texts.ids, texts.mask), layers)


def test_clean_grids_are_the_encoders_output(
    corpora: dict[str, FeatureCorpus],
    dataset: RetrievalDataset,
    encoders: Encoders,
    config: Config,
    cache: Path,
):
    for name, corpus in corpora.items():
        pixels = open_pixels(dataset, name, config.vision.image_size, cache)
        indices = np.array([5, 0, len(pixels) - 1, 5])
        batch = corpus.images(indices)
        expected = encoded(encoders, torch.from_numpy(pixels[indices]))
        assert batch.data.dtype == torch.float16
        torch.testing.assert_close(batch.data.float(), expected, **CLOSE)


def test_random_versions_are_the_encoders_output_of_augmented_images(
    corpora: dict[str, FeatureCorpus],
    dataset: RetrievalDataset,
    encoders: Encoders,
    config: Config,
    cache: Path,
):
    pixels = torch.from_numpy(np.array(open_pixels(dataset, "train", 32, cache)))
    augment = ImageAugment(config.augment)
    versions = [encoded(encoders, pixels)]
    for version in (1, 2):
        views = [
            augment(pixels[i : i + 8], step_generator(feature_builder._VIEW_SEED, i, version))
            for i in range(0, 64, 8)
        ]
        versions.append(encoded(encoders, torch.cat(views)))
    generator = torch.Generator().manual_seed(0)
    found = corpora["train"].images(np.arange(64), generator).data.float()
    errors = torch.stack([(found - version).abs().amax((1, 2)) for version in versions])
    assert errors.amin(0).max() < 5e-3
    assert set(errors.argmin(0).tolist()) == {0, 1, 2}


def test_a_generator_decides_and_alone(corpora: dict[str, FeatureCorpus]):
    corpus, indices = corpora["train"], np.arange(64)
    draws = [corpus.images(indices, torch.Generator().manual_seed(i)).data for i in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    test = corpora["test"]
    clean = test.images(np.arange(24)).data
    assert torch.equal(clean, test.images(np.arange(24), torch.Generator()).data)


def test_clean_captions_are_the_encoders_output(
    corpora: dict[str, FeatureCorpus],
    dataset: RetrievalDataset,
    tokenizer: Tokenizer,
    encoders: Encoders,
):
    for name, corpus in corpora.items():
        indices = np.array([7, 3, 3, 99, 0])
        batch = corpus.texts(indices)
        captions = dataset.split(name).captions
        tokens = tokenizer.encode([captions[i] for i in indices], 32)
        assert torch.equal(batch.ids, tokens.ids)
        assert torch.equal(batch.mask, tokens.mask)
        assert batch.tokens is not None
        expected = states(encoders, TextBatch(*tokens)) * tokens.mask[..., None]
        torch.testing.assert_close(batch.tokens.float(), expected, **CLOSE)
        assert corpus.captions is captions
        assert corpus.image_count == len(dataset.split(name))
        assert (corpus.caption_image == dataset.split(name).caption_image).all()


@pytest.mark.parametrize("view", ["mask", "delete"])
def test_caption_views_are_augmented_and_encoded(
    corpora: dict[str, FeatureCorpus], tokenizer: Tokenizer, encoders: Encoders, view: TextView
):
    corpus, indices = corpora["train"], np.arange(0, 320, 7)
    clean = corpus.texts(indices)
    found = corpus.texts(indices, torch.Generator().manual_seed(1), view)
    assert found.tokens is not None
    expected = states(encoders, found) * found.mask[..., None]
    torch.testing.assert_close(found.tokens.float(), expected, **CLOSE)
    if view == "mask":
        changed = found.ids != clean.ids
        assert (found.ids[changed] == tokenizer.mask_id).all()
        assert 0.2 < changed.sum() / (clean.mask.sum() - 2 * len(indices)) < 0.6
        assert torch.equal(found.mask, clean.mask)
    else:
        assert found.mask.sum() < 0.9 * clean.mask.sum()
    again = [corpus.texts(indices, torch.Generator().manual_seed(i), view).ids for i in range(9)]
    assert not all(ids.shape == again[0].shape and torch.equal(ids, again[0]) for ids in again)


def test_dropout_views_are_the_captions_and_splits_without_views_say_so(
    corpora: dict[str, FeatureCorpus],
):
    indices = np.array([1, 2])
    view = corpora["train"].texts(indices, torch.Generator(), "dropout")
    assert torch.equal(view.ids, corpora["train"].texts(indices).ids)
    other = corpora["train"].texts(indices, torch.Generator().manual_seed(0), "caption")
    owners = corpora["train"].caption_image
    chosen = other_captions(indices, owners, torch.Generator().manual_seed(0))
    assert torch.equal(other.tokens, corpora["train"].texts(chosen).tokens)
    assert (chosen != indices).all()
    with pytest.raises(ValueError, match="no 'mask' views"):
        corpora["test"].texts(indices, torch.Generator(), "mask")


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the seconds that making a graph takes."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def build(
    dataset: RetrievalDataset,
    config: Config,
    tokenizer: Tokenizer,
    encoders: Encoders | None,
    cache: Path,
    text_layers: int | None = None,
) -> dict[str, Any]:
    return build_corpora(
        dataset,
        config,
        tokenizer,
        device="cpu",
        cache_dir=cache,
        text_layers=text_layers,
        encoders=encoders,
    )


@pytest.mark.usefixtures("eager")
def test_shallow_states_have_a_file_of_their_own(
    dataset: RetrievalDataset,
    config: Config,
    tokenizer: Tokenizer,
    encoders: Encoders,
    tmp_path: Path,
):
    made = [build(dataset, config, tokenizer, encoders, tmp_path, depth) for depth in (None, 1)]
    deep, shallow = (corpora["val"].texts(np.arange(9)) for corpora in made)
    expected = states(encoders, shallow, 1) * shallow.mask[..., None]
    torch.testing.assert_close(shallow.tokens.float(), expected, **CLOSE)
    assert not torch.allclose(shallow.tokens, deep.tokens)
    assert len(list(tmp_path.glob("features/*val-captions*.npy"))) == 2
    assert len(list(tmp_path.glob("features/*val-grid*.npy"))) == 1


@pytest.mark.usefixtures("eager")
def test_nothing_is_computed_twice_and_a_missing_file_alone_is_made_again(
    dataset: RetrievalDataset,
    config: Config,
    tokenizer: Tokenizer,
    encoders: Encoders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    build(dataset, config, tokenizer, encoders, tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    broken = next(path for path in files if "train-grid1" in path.name)
    content = broken.read_bytes()
    broken.write_bytes(content[:-100])
    next(tmp_path.glob("features/*test-captions*.npy")).unlink()
    build(dataset, config, tokenizer, encoders, tmp_path)
    again = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    assert again.keys() == files.keys()
    changed = {path.name.split("-")[3] for path in files if again[path] != files[path]}
    assert changed == {"grid1", "captions"}
    assert broken.read_bytes() == content


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[300] ^= 255  # among the ids, which the index has a sum of
    file.write_bytes(content)


def of_another_split(file: Path) -> None:
    file.write_bytes(Path(str(file).replace("-val-", "-train-")).read_bytes())


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *((kind, damage) for kind in (".npy", ".index.npz") for damage in (halve, empty)),
        (".npy", of_another_split),
        (".index.npz", of_another_split),
        (".index.npz", flip),
    ],
)
def test_damaged_caption_states_are_named_and_made_again(
    dataset: RetrievalDataset,
    config: Config,
    tokenizer: Tokenizer,
    encoders: Encoders,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    damage: Callable[[Path], None],
):
    everything = np.arange(len(dataset.split("val").captions))
    before = build(dataset, config, tokenizer, encoders, tmp_path)["val"].texts(everything)
    (file,) = tmp_path.glob(f"features/*val-captions*{kind}")
    damage(file)
    after = build(dataset, config, tokenizer, encoders, tmp_path)["val"].texts(everything)
    assert any(told.startswith(f"'{file}' is damaged (") for told in caplog.messages)
    assert torch.equal(before.ids, after.ids)
    assert torch.equal(before.tokens, after.tokens)


@pytest.mark.usefixtures("eager")
def test_other_weights_and_other_augmentation_have_other_files(
    dataset: RetrievalDataset, config: Config, tokenizer: Tokenizer, tmp_path: Path
):
    def names(changed: Config, seed: int) -> set[str]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            made = Encoders(
                build_visual_encoder(config.vision),
                build_text_encoder(config.text, tokenizer.vocabulary_size),
            )
        builder = feature_builder.FeatureBuilder(
            dataset, changed, tokenizer, torch.device("cpu"), tmp_path, None, made
        )
        builder.grids("val", 0), builder.grids("val", 1)
        return {path.name for path in (tmp_path / "features").iterdir()}

    first = names(config, 0)
    assert names(config, 0) == first
    assert len(names(config, 1)) == 4
    flipped = dataclasses.replace(config, augment=AugmentConfig(flip=1.0))
    assert len(names(flipped, 0)) == 5


@pytest.mark.usefixtures("eager")
def test_too_little_room_names_the_bytes(
    dataset: RetrievalDataset,
    config: Config,
    tokenizer: Tokenizer,
    encoders: Encoders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    import shutil

    open_pixels(dataset, "train", 32, tmp_path)
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    with pytest.raises(UserError, match=rf"needs {64 * 16 * 64 * 2} bytes and has 1000 free"):
        build(dataset, config, tokenizer, encoders, tmp_path)
    assert list((tmp_path / "features").iterdir()) == []


@pytest.mark.parametrize("regime", ["scratch", "finetune", "frozen"])
def test_pixels_are_read_unless_pretrained_encoders_are_frozen(
    dataset: RetrievalDataset, config: Config, tokenizer: Tokenizer, tmp_path: Path, regime: Regime
):
    changed = dataclasses.replace(config, regime=regime)
    made = build(dataset, changed, tokenizer, None, tmp_path)
    assert made.keys() == {"train", "val", "test"}
    assert all(isinstance(corpus, PixelCorpus) for corpus in made.values())
    assert made["val"].images(np.array([3])).data.shape == (1, 3, 32, 32)
