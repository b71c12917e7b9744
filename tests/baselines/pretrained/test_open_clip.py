"""open_clip's models behind ``DualEncoder``: the library's own embeddings, whatever the padding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize

from baselines.pretrained.open_clip import OpenClip, build_open_clip
from cookie.errors import UserError
from cookie.interfaces import DualEncoder, ImageBatch, TextBatch
from tests.baselines.pretrained.material import picture, pixels, shaken

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
CONTEXT, END = 12, 59


def build(**text: Any) -> Any:  # noqa: ANN401 -- untyped library
    """Return a small CLIP."""
    import open_clip

    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 16}
    words = {"context_length": CONTEXT, "vocab_size": 60, "width": 32, "heads": 4, "layers": 2}
    return shaken(open_clip.CLIP(24, vision, {**words, **text}))


def texts() -> TextBatch:
    """Return captions of 3, 7 and 5 tokens in 12 columns; the last of each is the end."""
    lengths = torch.tensor([3, 7, 5])
    mask = torch.arange(CONTEXT) < lengths[:, None]
    ids = torch.randint(1, END, mask.shape, generator=torch.Generator().manual_seed(2)) * mask
    ids[torch.arange(3), lengths - 1] = END
    return TextBatch(ids, mask)


@torch.inference_mode()
def test_images_equal_the_library():
    model, images = build(), pixels(3, 32)
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (MEAN, STD))
    wanted = normalize(model.encode_image((images.data - mean) / std), dim=-1)
    found = OpenClip(model, MEAN, STD).encode_images(images)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert float((wanted[0] - wanted[1]).abs().max()) > 1e-3


@torch.inference_mode()
@pytest.mark.parametrize("text", [{}, {"proj_bias": True}, {"proj_type": "none", "width": 24}])
def test_texts_equal_the_library_without_their_padding(text: dict[str, Any]):
    model, batch = build(**text), texts()
    wanted = normalize(model.encode_text(batch.ids), dim=-1)
    encoder = OpenClip(model, MEAN, STD)
    assert encoder.shortens
    seen = []
    model.transformer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    torch.testing.assert_close(encoder.encode_texts(batch), wanted, atol=1e-5, rtol=0)
    assert seen == [7]
    assert float((wanted[0] - wanted[1]).abs().max()) > 1e-3


@torch.inference_mode()
@pytest.mark.parametrize("text", [{"no_causal_mask": True}, {"pool_type": "last"}])
def test_texts_keep_padding_that_is_read(text: dict[str, Any]):
    model, batch = build(**text), texts()
    wanted = normalize(model.encode_text(batch.ids), dim=-1)
    encoder = OpenClip(model, MEAN, STD)
    assert not encoder.shortens
    torch.testing.assert_close(encoder.encode_texts(batch), wanted, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of a small architecture that open_clip knows."""
    import open_clip

    words = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    vision = {"image_size": 32, "layers": 1, "width": 16, "patch_size": 8, "head_width": 8}
    path = tmp_path_factory.mktemp("configs") / "tiny-for-tests.json"
    path.write_text(json.dumps({"embed_dim": 8, "vision_cfg": vision, "text_cfg": words}))
    open_clip.add_model_config(path)
    return path.stem


def test_an_architecture_with_random_weights_is_marked_so(tiny: str):
    bundle = build_open_clip(tiny)
    assert bundle.weights is None
    assert isinstance(bundle.model, DualEncoder)
    assert not bundle.model.training
    batch = bundle.texts(["a red cube", "a cube"])
    assert batch.ids.shape == (2, 77)
    assert batch.mask.sum(dim=1).tolist() == [5, 4]
    images = bundle.images([picture()])
    assert images.data.shape == (1, 3, bundle.image_size, bundle.image_size) == (1, 3, 32, 32)
    assert 0 <= float(images.data.min()) < float(images.data.max()) <= 1


@torch.inference_mode()
def test_a_checkpoint_file_brings_its_weights(tiny: str, tmp_path: Path):
    import open_clip

    first = open_clip.create_model(tiny, load_weights=False).eval()
    path = tmp_path / "weights.pt"
    torch.save(first.state_dict(), path)
    bundle = build_open_clip(tiny, str(path))
    assert bundle.weights == str(path)
    batch = bundle.texts(["a red cube", "a blue ball on a box"])
    wanted = normalize(first.encode_text(batch.ids), dim=-1)
    torch.testing.assert_close(bundle.model.encode_texts(batch), wanted, atol=1e-5, rtol=0)


def test_bytes_and_floats_are_the_same_image():
    encoder = OpenClip(build(), MEAN, STD)
    data = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    first, second = (encoder.encode_images(ImageBatch(one)) for one in (data, data.float() / 255))
    torch.testing.assert_close(first, second)


def test_unknown_names_suggest_the_nearest(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"open_clip model 'ViT-B/33': did you mean 'ViT-B-32'"):
        build_open_clip("ViT-B/33")
    with pytest.raises(UserError, match=r"of 'RN50' 'opennai': did you mean 'openai'"):
        build_open_clip("RN50", "opennai")
    with pytest.raises(UserError, match="No open_clip model 'hf-hub:nobody/nothing'") as caught:
        build_open_clip("hf-hub:nobody/nothing")
    assert "\n" not in str(caught.value)
    (tmp_path / "broken.pt").write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match=r"broken.pt' to be had"):
        build_open_clip(tiny, str(tmp_path / "broken.pt"))
