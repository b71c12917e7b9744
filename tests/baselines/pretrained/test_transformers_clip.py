"""CLIP and SigLIP of the ``transformers`` library: the library's own embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize
from transformers import (
    BertTokenizer,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    SiglipConfig,
    SiglipModel,
    ViltConfig,
    ViltModel,
)

from baselines.pretrained.transformers_clip import (
    MEAN,
    STD,
    TransformersClip,
    build_transformers_clip,
    random_clip,
)
from cookie.errors import UserError
from cookie.interfaces import DualEncoder, ImageBatch, TextBatch
from tests.baselines.pretrained.material import captions, picture, pixels, save, shaken

TEXT = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 12,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
    "projection_size": 32,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}


def build(kind: str) -> Any:  # noqa: ANN401 -- either of two
    torch.manual_seed(0)
    if kind == "clip":
        return shaken(CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION)))
    return shaken(SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION)))


def ended(batch: TextBatch) -> TextBatch:
    """Return ``batch`` with every caption's last token the end of text."""
    ids = batch.ids.clone()
    ids[torch.arange(len(ids)), batch.mask.sum(dim=1) - 1] = 3
    return TextBatch(ids, batch.mask)


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_embeddings_equal_the_library(kind: str):
    model, images, texts = build(kind), pixels(3, 32), ended(captions([4, 9, 6], 60))
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (MEAN, STD))
    mask = texts.mask.long() if kind == "clip" else None
    theirs = model(
        input_ids=texts.ids, attention_mask=mask, pixel_values=(images.data - mean) / std
    )
    ours = TransformersClip(model, MEAN, STD)
    for found, wanted in (
        (ours.encode_images(images), theirs.image_embeds),
        (ours.encode_texts(texts), theirs.text_embeds),
    ):
        torch.testing.assert_close(found, normalize(wanted, dim=-1), atol=1e-5, rtol=0)
        assert float((found[0] - found[1]).abs().max()) > 1e-3


def test_another_kind_of_model_is_refused():
    model = ViltModel(ViltConfig(num_hidden_layers=1, hidden_size=24, image_size=32))
    with pytest.raises(UserError, match="'vilt' model is none of clip, siglip"):
        TransformersClip(model, MEAN, STD)


def test_random_weights_are_ready_to_be_asked():
    encoder = random_clip(text_config=TEXT, vision_config=VISION)
    assert isinstance(encoder, DualEncoder)
    assert not encoder.training
    assert encoder.encode_images(ImageBatch(torch.zeros(1, 3, 32, 32))).shape == (1, 512)


@torch.inference_mode()
def test_a_folder_brings_its_own_transform_and_tokenizer(tmp_path: Path):
    save(build("clip"), tmp_path, BertTokenizer)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(tmp_path)
    bundle = build_transformers_clip(str(tmp_path))
    images, texts = bundle.images([picture()]), bundle.texts(["a red cube", "a cube"])
    assert images.data.shape == (1, 3, 32, 32)
    assert 0 <= float(images.data.min()) < float(images.data.max()) <= 1
    assert texts.mask.sum(dim=1).tolist() == [5, 4]
    wanted = TransformersClip(build("clip"), MEAN, STD).encode_texts(texts)
    torch.testing.assert_close(bundle.model.encode_texts(texts), wanted, atol=1e-5, rtol=0)


def test_unknown_and_unreachable_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"did you mean 'openai/clip-vit-base-patch32'"):
        build_transformers_clip("clip-vit-base-patch32")
    with pytest.raises(UserError, match="No CLIP or SigLIP model 'openai/clip-vit-base") as caught:
        build_transformers_clip("openai/clip-vit-base-patch32")
    assert "\n" not in str(caught.value)
