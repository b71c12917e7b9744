"""The single-stream baseline: caption and image tokens attend to each other in one transformer.

As UNITER and ViLT read a pair, with a head start that both lack: the joint layers begin as copies
of the text encoder's last ones, and a contrastive loss on what enters them aligns the two
modalities and finds hard negatives (align before fuse, ALBEF). Everything below the joint layers
depends on one modality alone, so it is computed once per image and once per caption; what is left
per pair are the joint layers, of which the last one runs only where it is read.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.hard_negatives import TrainingPairs, candidates, training_pairs
from baselines.joint_heads import Alignment, ImageEntry, PerceptronHead, ProductHead, WordHead
from cookie.config import Config, TrainConfig
from cookie.errors import UserError
from cookie.interfaces import (
    ImageBatch,
    ImageState,
    LossOutput,
    TextBatch,
    TextState,
    TextView,
    TrainBatch,
)
from cookie.nn.encoders import build_text_encoder, build_visual_encoder
from cookie.nn.losses import Temperature, info_nce
from cookie.nn.parameters import freeze, parameter_groups

IGNORED = -100  # label of a position whose word is not asked for
LENGTH_CHUNKS = 4


class SingleStream(nn.Module):
    """A ``PairScorer`` and a ``TrainableSystem``.

    Args:
        config: encoders, ``joint``, regime; of ``head`` the drop rates and the embedding width.
            In the regime ``frozen`` the two encoders do not learn.
        vocabulary_size: token ids that captions may hold.

    Raises:
        UserError: more joint layers or unimodal ones than the text encoder has, or a grid that
            is too fine.
    """

    image_views: int = 1
    text_view: TextView | None
    text_layers: int | None

    def __init__(self, config: Config, vocabulary_size: int) -> None:
        super().__init__()
        self.config, self.joint = config, config.joint
        _check_layers(config)
        self.text_layers = config.joint.text_layers
        self.text_view = "mask" if config.joint.masked_words > 0 else None
        self.vision = build_visual_encoder(config.vision)
        self.text = build_text_encoder(config.text, vocabulary_size)
        self.joint_layers = copy.deepcopy(self.text.layers[-config.joint.layers :])
        self.text.layers = self.text.layers[: self.text_layers]  # what is above is not used
        self._add_heads(config, vocabulary_size)
        if config.regime == "frozen":
            for part in self._frozen():
                freeze(part)

    def _add_heads(self, config: Config, vocabulary_size: int) -> None:
        width, embedding = config.text.width, config.head.embedding
        self.entry = ImageEntry(config)
        # Image tokens enter at the scale of the caption's, which the joint layers know.
        norms = [self.text.norm, *(layer.get_submodule("mlp_norm") for layer in self.text.layers)]
        self.entry.projection.norm.load_state_dict(norms[-1].state_dict())
        self.caption_type = nn.Parameter(torch.zeros(width))
        self.alignment = Alignment(width, embedding, _temperature(config))
        self.head = (
            ProductHead(width, embedding, _temperature(config))
            if config.joint.head == "product"
            else PerceptronHead(width)
        )
        self.words = WordHead(width, vocabulary_size) if self.text_view else None

    # Once per image, once per caption, once per pair.

    def prepare_images(self, images: ImageBatch) -> ImageState:
        """Return (B, 1 + N, C): a summary token and the image tokens, N = joint.grid ** 2."""
        with self._encoding():
            tokens = self.vision(images)  # (B, N, C of the visual encoder)
        return ImageState(self.entry(tokens))

    def prepare_texts(self, texts: TextBatch) -> TextState:
        """Return (B, L, C): the text encoder's states, ready for the joint layers."""
        with self._encoding():
            tokens = self.text(texts)  # (B, L, C)
        return TextState(tokens + self.caption_type, texts.mask)

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Return (P,) float32: the matching score of image i with caption i."""
        scores = self.joint_scores(images, texts)
        if self.joint.similarity > 0:
            scores = scores + self.joint.similarity * self.alignment(images.tokens, *texts)
        return scores

    def joint_scores(self, images: ImageState, texts: TextState) -> Tensor:
        """Return (P,) float32: what the joint layers alone say of each pair."""
        # The first image token, counted from the end: the compiler then needs no length.
        first = -images.tokens.shape[1]
        states = self.attend(images, texts, lambda h: torch.stack([h[:, 0], h[:, first]], dim=1))
        result: Tensor = self.head(states)
        return result

    def attend(
        self, images: ImageState, texts: TextState, choose: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Run the joint layers over [caption; image].

        Args:
            images: of P images.
            texts: of P captions.
            choose: (P, L + N, C) -> (P, K, C), the rows that the last layer is wanted for.

        Returns:
            (P, K, C) joint states.
        """
        hidden = torch.cat([texts.tokens, images.tokens.to(texts.tokens.dtype)], dim=1)
        seen = texts.mask.new_ones(images.tokens.shape[:2])
        mask = torch.cat([texts.mask, seen], dim=1)  # (P, L + N)
        *layers, last = self.joint_layers
        for layer in layers:
            hidden = layer(hidden, mask)
        result: Tensor = last(hidden, mask, choose(hidden))
        return result

    # Training.

    def training_loss(self, batch: TrainBatch) -> LossOutput:
        """Return matching + alignment + masked words, weighted, and each of them.

        Matching sees a share of the positives and, for each of their images and captions,
        ``joint.negatives`` negatives drawn from the whole batch, by softmax(hardness * alignment
        logit). It is a loss of the joint scores: among a caption's images so drawn, the odds of
        the right one are exp(ranking score - hardness * alignment logit), so what is learned
        best is what the alignment does not know, and the sum of both is what ranks (the
        correction of a sampled softmax; Bengio and Senecal, 2008).
        """
        images, texts = self.prepare_images(batch.images), self.prepare_texts(batch.texts)
        first, second = self.alignment.images(images.tokens), self.alignment.texts(*texts)
        scale = self.alignment.temperature()
        parts = {
            "alignment": info_nce(first, second, scale),
            "matching": self._matching(images, texts, scale * first @ second.T),
        }
        if self.words is not None and batch.texts_second is not None:
            parts["masked_words"] = self._masked_words(images, batch.texts, batch.texts_second)
        total = torch.stack([getattr(self.joint, name) * part for name, part in parts.items()])
        return LossOutput(total.sum(), {name: part.detach() for name, part in parts.items()})

    def _matching(self, images: ImageState, texts: TextState, similarity: Tensor) -> Tensor:
        rows = math.ceil(len(similarity) * self.joint.matching_share)
        drawn_by = self.joint.hardness * similarity
        pairs = training_pairs(drawn_by, self.joint.negatives, rows)
        tables = candidates(self._score_chosen(images, texts, pairs), pairs.negatives)
        return (_first_of(tables[0]) + _first_of(tables[1])) / 2

    def _score_chosen(self, images: ImageState, texts: TextState, pairs: TrainingPairs) -> Tensor:
        """Return (P,) joint scores of ``pairs``, on the CPU in a few batches of like length."""
        order = texts.mask.sum(dim=1)[pairs.captions].argsort()
        # Cutting padding off means asking for lengths, which a GPU would have to be waited for.
        chunks = LENGTH_CHUNKS if order.device.type == "cpu" else 1
        scores = []
        for chosen in order.chunk(chunks):
            image, caption = pairs.images[chosen], pairs.captions[chosen]
            mask = texts.mask[caption]
            length = int(mask.sum(dim=1).max()) if chunks > 1 else mask.shape[1]
            text = TextState(texts.tokens[caption, :length], mask[:, :length])
            scores.append(self.joint_scores(ImageState(images.tokens[image]), text))
        return torch.cat(scores)[order.argsort()]

    def _masked_words(self, images: ImageState, texts: TextBatch, masked: TextBatch) -> Tensor:
        """Return the cross entropy of the words that ``masked`` hides, seen with their image."""
        rows = math.ceil(len(texts) * self.joint.masked_share)
        hidden_words = (texts.ids != masked.ids)[:rows]  # (R, L)
        # A fixed number of places a row keeps shapes static: no wait for the device. The few
        # words beyond it are left out: logits over a whole vocabulary are what costs here.
        length = hidden_words.shape[1]
        places = min(length, math.ceil(length * self.config.augment.text_rate) + 1)
        asked, positions = hidden_words.int().topk(places, dim=1)
        labels = texts.ids[:rows].gather(1, positions).masked_fill(asked == 0, IGNORED)
        states = self.attend(
            ImageState(images.tokens[:rows]),
            self.prepare_texts(masked.at(slice(rows))),
            lambda h: h.gather(1, positions[..., None].expand(-1, -1, h.shape[-1])),
        )
        assert self.words is not None
        logits = self.words(states, self.text.words.weight).float()  # (R, places, V)
        summed: Tensor = F.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return summed / asked.sum().clamp(min=1)

    def _encoding(self) -> nullcontext[None] | torch.no_grad:
        return torch.no_grad() if self.config.regime == "frozen" else nullcontext()

    def _frozen(self) -> list[nn.Module]:
        return [self.vision, self.text]

    def train(self, mode: bool = True) -> SingleStream:
        """Set the mode of everything but frozen parts."""
        super().train(mode)
        if self.config.regime == "frozen":
            for part in self._frozen():
                part.eval()
        return self

    def parameter_groups(self, train: TrainConfig) -> list[dict[str, Any]]:
        """Return AdamW groups: encoders, the rest, and pretrained joint layers at ``joint.rate``.

        See :func:`cookie.nn.parameters.parameter_groups`.
        """
        pretrained = self.config.text.weights != "none"
        rate = self.joint.rate if pretrained else train.learning_rate
        own = parameter_groups(self.joint_layers, (), replace(train, learning_rate=rate))
        taken = {id(parameter) for parameter in self.joint_layers.parameters()}
        groups = parameter_groups(self, (self.vision, self.text), train)
        for group in groups:
            group["params"] = [p for p in group["params"] if id(p) not in taken]
        for group in own:
            group["name"] = group["name"].replace("head", "joint")
        return [group for group in groups + own if group["params"]]


def _first_of(table: Tensor) -> Tensor:
    """Return the cross entropy of column 0 among the columns of ``table`` (R, 1 + n)."""
    return F.cross_entropy(table, table.new_zeros(len(table), dtype=torch.int64))


def _check_layers(config: Config) -> None:
    most = config.text.layers
    if not 1 <= config.joint.layers <= most:
        raise UserError(
            f"joint.layers is {config.joint.layers}, but the joint layers start as the last of the"
            f" text encoder's {most}: choose 1 to {most}."
        )
    if not 0 <= (config.joint.text_layers or 0) <= most:
        raise UserError(
            f"joint.text_layers is {config.joint.text_layers}, but the text encoder has {most}"
            f" layers: choose 0 to {most}."
        )


def _temperature(config: Config) -> Temperature:
    return Temperature(config.loss.temperature, config.loss.min_temperature)
