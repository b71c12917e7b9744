"""Embeddings come in the corpus's order, from eval mode, and survive a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cookie.data.catalog import load_dataset
from cookie.data.corpus import PixelCorpus
from cookie.data.pixels import open_pixels
from cookie.data.tokenizer import Tokenizer
from cookie.encoding import (
    Embeddings,
    encode_captions,
    encode_corpus,
    encode_images,
    load_embeddings,
    save_embeddings,
)
from cookie.errors import UserError
from cookie.interfaces import ImageBatch, TextBatch
from cookie.model import Cookie
from cookie.presets import preset
from cookie.retrieval import evaluate
from cookie.retrieval.products import one_thread
from cookie.training.distributed import Processes
from tests.cookie.training.peers import run_peers


def smoke_corpus(cache: Path) -> PixelCorpus:
    dataset, config = load_dataset("scenes", preset="smoke"), preset("smoke")
    return PixelCorpus(
        dataset.split("test"),
        open_pixels(dataset, "test", config.vision.image_size, cache),
        Tokenizer.from_captions(dataset.split("train").captions),
        max_tokens=config.text.max_tokens,
        augment=config.augment,
    )


def smoke_encoder() -> Cookie:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Cookie(preset("smoke"), 2000)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def corpus(cache: Path) -> PixelCorpus:
    return smoke_corpus(cache)


@pytest.fixture(scope="module")
def encoder() -> Cookie:
    return smoke_encoder()


class Sizes:
    """No torch module: an image's mean color, a caption's length and first word."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return (B, 3) mean colors."""
        return images.data.float().mean((2, 3))

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return (B, 2)."""
        self.batches.append((len(texts), texts.ids.shape[1]))
        return torch.stack([texts.mask.sum(1), texts.ids[:, 1]], 1).float()


def test_one_at_a_time_gives_the_same(corpus: PixelCorpus, encoder: Cookie):
    found = encode_corpus(encoder, corpus, batch_size=7)
    encoder.eval()
    with torch.no_grad():
        for index in (0, 5, 23):
            alone = encoder.encode_images(corpus.images(np.array([index])))[0]
            torch.testing.assert_close(found.images[index], alone, rtol=1e-4, atol=1e-5)
        for index in (0, 17, 60, 119):
            alone = encoder.encode_texts(corpus.texts(np.array([index])))[0]
            torch.testing.assert_close(found.captions[index], alone, rtol=1e-4, atol=1e-5)
    assert found.images.shape == (24, 64)
    assert found.captions.shape == (120, 64)
    assert found.images.dtype == found.captions.dtype == torch.float32


@pytest.mark.parametrize("batch_size", [1, 7, 120, 1000])
def test_rows_are_in_the_corpus_order(corpus: PixelCorpus, batch_size: int):
    found = encode_corpus(Sizes(), corpus, batch_size)
    texts = corpus.texts(np.arange(120))
    expected = torch.stack([texts.mask.sum(1), texts.ids[:, 1]], 1).float()
    assert torch.equal(found.captions, expected)
    pixels = corpus.images(np.arange(24)).data.float()
    torch.testing.assert_close(found.images, pixels.mean((2, 3)))


def test_captions_of_like_length_share_a_batch(corpus: PixelCorpus):
    sizes = Sizes()
    encode_captions(sizes, corpus, 10)
    padded = sum(rows * length for rows, length in sizes.batches)
    real = int(corpus.texts(np.arange(120)).mask.sum())
    unsorted = sum(
        int(corpus.texts(np.arange(start, start + 10)).mask.numel()) for start in range(0, 120, 10)
    )
    assert padded < real * 1.08 < unsorted


def test_the_mode_is_eval_and_comes_back(corpus: PixelCorpus, encoder: Cookie):
    modes: list[bool] = []
    encoder.shared.register_forward_hook(lambda module, *_: modes.append(module.training))
    encoder.train()
    encoder.text_tower.encoder.eval()
    one, two = (encode_corpus(encoder, corpus) for _ in range(2))
    assert torch.equal(one.captions, two.captions)
    assert not any(modes)
    assert encoder.training
    assert encoder.shared.training
    assert not encoder.text_tower.encoder.training
    assert not one.images.requires_grad


def test_the_mode_comes_back_after_an_error(corpus: PixelCorpus):
    class Broken(nn.Module):
        def encode_images(self, images: ImageBatch) -> Tensor:
            raise ZeroDivisionError

        def encode_texts(self, texts: TextBatch) -> Tensor:
            raise ZeroDivisionError

    broken = Broken()
    with pytest.raises(ZeroDivisionError):
        encode_images(broken, corpus)
    assert broken.training


BATCHES = (1, 7, 30, 200)
"""Of 24 images and 120 captions: 24 and 120 batches, 4 and 18, 1 and 4, 1 and 1."""


def encode_and_evaluate(processes: Processes, folder: Path) -> dict[str, Tensor]:
    """Return embeddings and metrics, as the bytes of their JSON, for every batch size."""
    corpus, encoder = smoke_corpus(folder / "cache"), smoke_encoder()
    found: dict[str, Tensor] = {}
    for size in BATCHES:
        embeddings = encode_corpus(encoder, corpus, size, processes=processes)
        metrics = evaluate(*embeddings, corpus.caption_image, processes=processes)
        text = json.dumps(metrics.to_dict(ranks=True), sort_keys=True).encode()
        found |= {f"{size} {name}": part for name, part in embeddings._asdict().items()}
        found[f"{size} metrics"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return found


@pytest.fixture(scope="module")
def alone(cache: Path) -> dict[str, Tensor]:
    smoke_corpus(cache / "cache")  # the others find what this one decodes
    with one_thread():  # as the others have
        return encode_and_evaluate(Processes(), cache)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_encode_and_evaluate_to_the_bit_what_one_would(
    world: int, alone: dict[str, Tensor], cache: Path, tmp_path: Path
):
    shutil.copytree(cache / "cache", tmp_path / "cache")
    for peer in run_peers(world, encode_and_evaluate, tmp_path):
        assert peer.keys() == alone.keys()
        for name, tensor in alone.items():
            assert torch.equal(peer[name], tensor), name


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_each_batch_is_computed_once_and_whole(corpus: PixelCorpus, world: int):
    """What a process is asked for are batches of one process, and nobody's batch is another's."""
    sizes = []
    for rank in range(world):
        peer, encoder = Lonely(rank, world), Sizes()
        encode_captions(encoder, corpus, 25, processes=peer)
        sizes.append([rows for rows, _ in encoder.batches])
    assert [size for own in sizes for size in own] == [25, 25, 25, 25, 20]
    assert max(map(len, sizes)) - min(map(len, sizes)) <= 1


class Lonely(Processes):
    """A process that takes what it cannot get from the others to be zero."""

    def assemble(self, own: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return this process's rows in their place."""
        parts = [own.new_zeros(size, own.shape[1]) for size in sizes]
        parts[self.rank] = own
        return torch.cat(parts)


def made() -> Embeddings:
    generator = torch.Generator().manual_seed(0)
    return Embeddings(
        F.normalize(torch.randn(4, 8, generator=generator)),
        F.normalize(torch.randn(9, 8, generator=generator)),
    )


def test_a_file_gives_back_what_was_saved(tmp_path: Path):
    path = tmp_path / "new" / "gallery.safetensors"
    digest = save_embeddings(path, made(), {"names": ["a", "ü"], "dataset": "scenes"})
    found, facts = load_embeddings(path)
    assert torch.equal(found.images, made().images)
    assert torch.equal(found.captions, made().captions)
    assert facts == {"names": ["a", "ü"], "dataset": "scenes", "sha256": digest}
    swapped = Embeddings(made().captions, made().images)
    assert save_embeddings(path, swapped, {}) != digest


def test_files_that_are_something_else_are_user_errors(tmp_path: Path):
    path = tmp_path / "gallery.safetensors"
    with pytest.raises(UserError, match="is no file of embeddings"):
        load_embeddings(path)
    path.write_bytes(b"rubbish")
    with pytest.raises(UserError, match="is no file of embeddings"):
        load_embeddings(path)
    save_embeddings(path, made(), {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged: encode again"):
        load_embeddings(path)
