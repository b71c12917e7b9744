"""A cost cell with small architectures in the place of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from bench.cells import cost
from bench.cells.cost import full_evaluation
from bench.effort import SMOKE
from bench.material import architectures as registry
from bench.material.architectures import Architecture, architectures
from bench.material.workshop import Workshop
from cookie.interfaces import ImageBatch, ImageState, TextBatch, TextState

CAPTIONS = ["a red cube", "a ball", "a large blue ball"]


class Maps(nn.Module):
    """Two linear maps."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.word = nn.Linear(48, 6), nn.Linear(5, 6)

    def _images(self, images: ImageBatch) -> Tensor:
        found: Tensor = self.image(images.data.float().flatten(1))
        return found

    def _texts(self, texts: TextBatch) -> Tensor:
        found: Tensor = self.word(texts.ids.float())
        return found


class SmallDual(Maps):
    """A ``DualEncoder`` and nothing else."""

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return (B, 6)."""
        return self._images(images)

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return (B, 6)."""
        return self._texts(texts)


class SmallPair(Maps):
    """A ``PairScorer`` and nothing else: scores by a product of 6 channels."""

    def prepare_images(self, images: ImageBatch) -> ImageState:
        """Return one token an image."""
        return ImageState(self._images(images)[:, None])

    def prepare_texts(self, texts: TextBatch) -> TextState:
        """Return a token for each word."""
        return TextState(self._texts(texts)[:, None].expand(-1, 5, -1), texts.mask)

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Return (P,)."""
        return torch.bmm(images.tokens, texts.tokens.transpose(1, 2))[:, 0, 0]


def words(captions: Sequence[str]) -> TextBatch:
    lengths = torch.tensor([1 + len(caption.split()) for caption in captions])
    mask = torch.arange(5) < lengths[:, None]
    return TextBatch(mask.long(), mask)


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Return what a cost cell uses of a workshop, with two small architectures."""
    small = {"open_clip": SmallDual, "vilt": SmallPair}
    entries = {name: Architecture(name, 4, build, lambda: words) for name, build in small.items()}
    monkeypatch.setattr(registry.architectures, "_entries", entries)
    split = SimpleNamespace(captions=CAPTIONS)
    made = SimpleNamespace(
        device=torch.device("cpu"),
        effort=SMOKE,
        precision="float32",
        dataset=SimpleNamespace(split=lambda name: split),
    )
    return cast(Workshop, made)


def run(workshop: Workshop, system: str) -> tuple[dict[str, Any], dict[str, Any]]:
    values, samples = cost.run(workshop, system, 0, {})
    return dict(values), dict(samples)


def test_a_dual_encoder_is_measured_apart(workshop: Workshop) -> None:
    values, samples = run(workshop, "open_clip")
    assert set(values["work"]) == set(samples) == {"image", "caption"}
    assert values["parameters"] == 48 * 6 + 6 + 5 * 6 + 6
    assert values["work"]["image"]["flops"] == 2 * 48 * 6
    assert values["work"]["caption"]["flops"] == 2 * 5 * 6
    assert values["work"]["image"]["batch_size"] == cost.BATCHES["cpu"].images
    assert values["caption_tokens"] == pytest.approx((4 + 3 + 5) / 3, abs=0.1)
    assert values["full_evaluation"]["parts"]["ranking"] > 0
    assert (values["weights"], values["precision"]) == ("random", "float32")


def test_a_pair_scorer_has_pairs_too(workshop: Workshop) -> None:
    values, _ = run(workshop, "vilt")
    assert set(values["work"]) == {"image", "caption", "pair"}
    assert values["work"]["pair"]["flops"] == pytest.approx(2 * 6 * 4.5, rel=0.2)  # by length
    assert values["full_evaluation"]["parts"]["ranking"] == 0
    share = values["work"]["pair"]["share_of_compute"]
    assert 0 < share < 1


def test_a_batch_that_does_not_fit_is_halved_and_so_is_its_work(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(workshop, "open_clip")[0]["work"]["image"]
    encode = SmallDual.encode_images
    most = cost.BATCHES["cpu"].images // 2

    def limited(self: SmallDual, images: ImageBatch) -> Tensor:
        if len(images) > most:
            raise MemoryError
        return encode(self, images)

    monkeypatch.setattr(SmallDual, "encode_images", limited)
    found = run(workshop, "open_clip")[0]["work"]["image"]
    assert found["batch_size"] == most
    assert found["flops"] == whole["flops"]


def test_shares_follow_from_rates(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = SimpleNamespace(matmul_flops={"float32": 1e9})
    monkeypatch.setattr(cost, "measure_peaks", lambda _: peaks)
    image = run(workshop, "open_clip")[0]["work"]["image"]
    wanted = image["items_per_second"] * 576 / 1e9
    assert image["share_of_compute"] == pytest.approx(wanted)


def test_a_full_evaluation_adds_up() -> None:
    rates = {
        "image": {"items_per_second": 100.0},
        "caption": {"items_per_second": 500.0},
        "pair": {"items_per_second": 1000.0},
    }
    found = full_evaluation(rates, 0.0)
    assert found["parts"] == {"image": 10.0, "caption": 10.0, "pair": 5000.0, "ranking": 0.0}
    assert found["seconds"] == 5020.0
    assert found["extrapolated"]
    del rates["pair"]
    assert full_evaluation(rates, 0.5)["seconds"] == 20.5


def test_every_cost_system_has_an_architecture() -> None:
    from bench.systems import systems

    named = {name for name in systems if "cost" in systems[name].kinds}
    assert named == set(architectures)


def test_real_tokenizers_read_captions() -> None:
    for name in architectures:
        texts = architectures[name].texts()(["a red cube", "a cube"])
        assert texts.mask.sum(dim=1).tolist() == [5, 4], name
        assert Path(name).name == name
