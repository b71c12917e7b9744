"""BLIP's scores equal the library's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForImageTextRetrieval,
    BlipImageProcessor,
)

from baselines.pair_scoring import score_matrix
from baselines.pretrained.blip import Blip, build_blip, random_blip
from baselines.pretrained.transformers_clip import MEAN, STD
from cookie.errors import UserError
from cookie.interfaces import ImageBatch, PairScorer, TextBatch
from tests.baselines.pretrained.material import captions, picture, pixels, save, shaken


def settings(layers: int = 3) -> dict[str, Any]:
    """Return a small BLIP; its images are wider than its words."""
    return {
        "text_config": {
            "vocab_size": 60,
            "hidden_size": 32,
            "encoder_hidden_size": 48,
            "intermediate_size": 40,
            "projection_dim": 16,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "max_position_embeddings": 20,
        },
        "vision_config": {
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 32,
            "patch_size": 8,
        },
    }


def build(layers: int = 3) -> BlipForImageTextRetrieval:
    torch.manual_seed(0)
    model = BlipForImageTextRetrieval(BlipConfig(**settings(layers)))
    return cast(BlipForImageTextRetrieval, shaken(model, 0.2))


@torch.inference_mode()
def upstream(
    model: BlipForImageTextRetrieval, images: ImageBatch, texts: TextBatch
) -> torch.Tensor:
    """Return (I, C): the difference of the library's two logits, pair after pair."""
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (MEAN, STD))
    rows = [
        model(
            input_ids=texts.ids[c : c + 1],
            attention_mask=texts.mask[c : c + 1].long(),
            pixel_values=(images.data[i : i + 1] - mean) / std,
        ).itm_score
        for i in range(len(images))
        for c in range(len(texts))
    ]
    logits = torch.cat(rows)
    return (logits[:, 1] - logits[:, 0]).view(len(images), len(texts))


@torch.inference_mode()
def matrix(scorer: Blip, images: ImageBatch, texts: TextBatch, budget: int = 200) -> torch.Tensor:
    states = scorer.prepare_images(images), scorer.prepare_texts(texts)
    return score_matrix(scorer, *states, precision="float32", token_budget=budget)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_scores_equal_the_library(layers: int, budget: int):
    model, images, texts = build(layers), pixels(3, 32), captions([4, 9, 5, 12], 60)
    wanted = upstream(model, images, texts)
    assert float(wanted.std()) > 0.03
    found = matrix(Blip(model), images, texts, budget)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_bfloat16_stays_near():
    model, images, texts = build(), pixels(3, 32), captions([4, 9, 5], 60)
    scorer = Blip(model)
    with torch.inference_mode():
        states = scorer.prepare_images(images), scorer.prepare_texts(texts)
    found = score_matrix(scorer, *states, precision="bfloat16")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, upstream(model, images, texts), atol=0.1, rtol=0)


def test_it_is_a_pair_scorer_ready_to_be_asked():
    scorer = random_blip(**settings(1))
    assert isinstance(scorer, PairScorer)
    assert not scorer.training


def test_a_folder_brings_its_own_transform_and_tokenizer(tmp_path: Path):
    save(build(), tmp_path, BertTokenizer)
    BlipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    bundle = build_blip(str(tmp_path))
    images, texts = bundle.images([picture()]), bundle.texts(["a red cube", "a cube"])
    assert images.data.shape == (1, 3, bundle.image_size, bundle.image_size)
    assert 0 <= float(images.data.min()) < float(images.data.max()) <= 1
    assert texts.ids.tolist() == [[2, 5, 6, 7, 3], [2, 5, 7, 3, 0]]
    assert texts.mask.sum(dim=1).tolist() == [5, 4]
    found = matrix(bundle.model, images, texts)
    torch.testing.assert_close(found, upstream(build(), images, texts), atol=1e-4, rtol=0)
    assert bundle.weights == str(tmp_path)


def test_unknown_and_unreachable_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"did you mean 'Salesforce/blip-itm-base-coco'"):
        build_blip("blip-itm-base-coco")
    with pytest.raises(UserError, match="No BLIP checkpoint 'Salesforce/blip-itm-base-coco'"):
        build_blip("Salesforce/blip-itm-base-coco")
