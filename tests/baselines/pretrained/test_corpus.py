"""Pictures and captions reach a model of others as it wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from baselines.pretrained.bundle import Bundle
from baselines.pretrained.corpus import BundleCorpus
from cookie.data.catalog import load_dataset
from cookie.data.dataset import RetrievalDataset
from cookie.data.scenes import SceneCounts, generate_scenes
from cookie.errors import DataError
from cookie.interfaces import TextBatch
from tests.cookie.data.photographs import entry, jpeg, write_annotations, write_images


class Witness:
    """A transform and a tokenizer that remember what they were given."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.captions: list[str] = []

    def image(self, picture: Image.Image) -> Tensor:
        """Return the picture's mean color as an image of one pixel."""
        self.sizes.append(picture.size)
        return torch.from_numpy(np.asarray(picture, np.float32).mean((0, 1)) / 255).view(3, 1, 1)

    def texts(self, captions: Sequence[str]) -> TextBatch:
        """Return the captions' lengths as their only token."""
        self.captions += captions
        ids = torch.tensor([[len(caption)] for caption in captions])
        return TextBatch(ids, torch.ones_like(ids, dtype=torch.bool))

    def bundle(self) -> Bundle[Any]:
        """Return both with a model that does nothing."""
        return Bundle(nn.Identity(), self.image, self.texts, 24, "none")


def photographs(folder: Path, **files: bytes) -> RetrievalDataset:
    """Return a set whose test split has a photograph for each of ``files``."""
    names = [f"{name}.jpg" for name in files]
    entries = [entry(name, "test", 1 + number) for number, name in enumerate(names)]
    write_annotations(folder / "mine", entries)
    write_images(folder / "mine", dict(zip(names, files.values(), strict=True)))
    return load_dataset("mine", folder)


def test_photographs_come_in_their_own_shape(tmp_path: Path) -> None:
    dataset = photographs(tmp_path, a=jpeg(50, 40, 30), b=jpeg(200, 64, 90))
    witness = Witness()
    corpus = BundleCorpus(dataset.split("test"), witness.bundle(), "cpu")
    images = corpus.images(np.array([1, 0]))
    assert witness.sizes == [(64, 90), (40, 30)]
    torch.testing.assert_close(
        images.data[:, 1, 0, 0], torch.tensor([200 / 255, 50 / 255]), atol=0.01, rtol=0
    )


def test_generated_pictures_are_drawn_in_the_models_size() -> None:
    dataset, witness = generate_scenes(SceneCounts(2, 2, 3)), Witness()
    BundleCorpus(dataset.split("test"), witness.bundle(), "cpu").images(np.array([0, 2]))
    assert witness.sizes == [(24, 24)] * 2


def test_captions_come_as_written_and_in_the_order_asked_for(tmp_path: Path) -> None:
    dataset, witness = photographs(tmp_path, a=jpeg(), b=jpeg(7)), Witness()
    split = dataset.split("test")
    corpus = BundleCorpus(split, witness.bundle(), "cpu")
    assert (corpus.image_count, tuple(corpus.captions)) == (2, split.captions)
    assert corpus.caption_image.tolist() == [0, 1, 1]
    found = corpus.texts(np.array([2, 0]))
    assert witness.captions == [split.captions[2], split.captions[0]]
    assert found.ids[:, 0].tolist() == [len(caption) for caption in witness.captions]


def test_nothing_is_augmented(tmp_path: Path) -> None:
    dataset = photographs(tmp_path, a=jpeg())
    corpus, generator = (
        BundleCorpus(dataset.split("test"), Witness().bundle(), "cpu"),
        torch.Generator(),
    )
    for ask in (corpus.images, corpus.texts):
        with pytest.raises(ValueError, match="evaluated here, not trained"):
            ask(np.array([0]), generator)


def test_a_broken_photograph_is_named(tmp_path: Path) -> None:
    dataset = photographs(tmp_path, a=jpeg(), b=jpeg()[:60])
    corpus = BundleCorpus(dataset.split("test"), Witness().bundle(), "cpu")
    with pytest.raises(DataError, match=r"b\.jpg"):
        corpus.images(np.array([0, 1]))
