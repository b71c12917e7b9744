"""Any open_clip model as a ``DualEncoder``: by name, ``hf-hub:owner/name``, or a local file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.pretrained.bundle import Bundle, Normalize
from baselines.pretrained.hub import from_hub
from baselines.pretrained.packed_attention import pack_attention
from cookie.errors import unknown
from cookie.interfaces import ImageBatch, TextBatch

PLACES = ("hf-hub:", "local-dir:")


class OpenClip(nn.Module):
    """A ``DualEncoder``.

    Args:
        model: an open_clip model; its self-attention is packed, in place.
        mean, std: of the images that it was trained on.
    """

    def __init__(self, model: Any, mean: Sequence[float], std: Sequence[float]) -> None:  # noqa: ANN401
        super().__init__()
        self.model, self.normalize = model, Normalize(mean, std)
        self.shortens = _ignores_padding(model)
        pack_attention(model)
        self.eval()

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        return F.normalize(self.model.encode_image(self.normalize(images)).float(), dim=-1)

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized; padding is cut off where it changes nothing."""
        encode = self._encode_short if self.shortens else self.model.encode_text
        return F.normalize(encode(texts.ids).float(), dim=-1)

    def _encode_short(self, ids: Tensor) -> Tensor:
        """Return (B, D) as ``encode_text`` does, of as many columns as the longest text has."""
        model, ends = self.model, ids.argmax(dim=1)  # the end of a text has the highest id
        length = int(ends.max()) + 1
        hidden = model.token_embedding(ids[:, :length]) + model.positional_embedding[:length]
        hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
        last = model.ln_final(hidden[torch.arange(len(ids), device=ids.device), ends])  # (B, C)
        projection = model.text_projection
        if projection is None:
            return last  # type: ignore[no-any-return]
        return projection(last) if isinstance(projection, nn.Linear) else last @ projection  # type: ignore[no-any-return]


def _ignores_padding(model: Any) -> bool:  # noqa: ANN401 -- untyped library
    """Whether no token sees what follows it, and the embedding is read at the end of the text."""
    causal = isinstance(getattr(model, "attn_mask", None), Tensor)
    return causal and getattr(model, "text_pool_type", None) == "argmax"


def build_open_clip(name: str = "ViT-B-32", pretrained: str | None = None) -> Bundle[OpenClip]:
    """Return an open_clip model with its transform and tokenizer.

    Args:
        name: an architecture, or ``hf-hub:owner/name`` or ``local-dir:folder`` with weights.
        pretrained: a tag or a checkpoint file; None for random weights of an architecture.

    Raises:
        UserError: unknown name or tag, weights that cannot be reached or do not fit.
    """
    import open_clip  # type: ignore[import-untyped]

    if name.startswith(PLACES):
        return from_hub("open_clip model", name, (), lambda where: _bundle(where, None, where))
    if name not in open_clip.list_models():
        raise unknown("open_clip model", name, open_clip.list_models())
    if pretrained is None:
        return _bundle(name, None, None)
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained not in tags and not Path(pretrained).is_file():
        raise unknown(f"checkpoint of '{name}'", pretrained, tags)
    kind = f"checkpoint of '{name}'"
    where = pretrained if "/" in pretrained or Path(pretrained).exists() else f"{name}/{pretrained}"
    return from_hub(kind, where, (), lambda _: _bundle(name, pretrained, pretrained))


def _bundle(name: str, pretrained: str | None, weights: str | None) -> Bundle[OpenClip]:
    import open_clip
    from open_clip.transform import (  # type: ignore[import-untyped]
        PreprocessCfg,
        image_transform_v2,
    )

    with _quiet():  # that weights are random is said in the result, not in a warning
        model = open_clip.create_model(
            name, pretrained=pretrained, load_weights=weights is not None, pretrained_text=False
        )
    settings = dict(open_clip.get_model_preprocess_cfg(model))
    mean, std = settings.pop("mean"), settings.pop("std")
    plain = PreprocessCfg(**{**settings, "mean": (0.0,) * 3, "std": (1.0,) * 3})
    size = settings["size"]
    return Bundle(
        OpenClip(model, mean, std),
        image_transform_v2(plain, is_train=False),
        clip_texts(name),
        size if isinstance(size, int) else int(size[0]),
        weights,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def clip_texts(name: str) -> Callable[[Sequence[str]], TextBatch]:
    """Return the function that cuts captions into the tokens of open_clip's model ``name``."""
    import open_clip

    tokenizer = open_clip.get_tokenizer(name)

    def texts(captions: Sequence[str]) -> TextBatch:
        ids = tokenizer(list(captions))
        after = (ids != 0).flip(1).cumsum(dim=1).flip(1)  # words from here on; padding is 0
        return TextBatch(ids, after.bool())

    return texts
