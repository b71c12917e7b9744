"""Embeddings of a whole corpus, and the file they are kept in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from tqdm import tqdm

from cookie.errors import UserError
from cookie.interfaces import Corpus, DualEncoder, IndexArray
from cookie.training.checkpoint import load_tensors, save_tensors

BATCH_SIZE = 128


class Embeddings(NamedTuple):
    """What a dual encoder makes of a corpus.

    Attributes:
        images: (N, D) float32, L2-normalized.
        captions: (M, D) float32, L2-normalized, in the corpus's order.
    """

    images: Tensor
    captions: Tensor


def encode_corpus(
    encoder: DualEncoder, corpus: Corpus, batch_size: int = BATCH_SIZE, *, progress: bool = False
) -> Embeddings:
    """Return the embeddings of all images and captions, on the device that the encoder uses.

    The encoder works in eval mode without gradients and is left in the mode it was in.

    Args:
        encoder: any dual encoder.
        corpus: gives batches, not augmented.
        batch_size: images or captions at a time.
        progress: whether to show a bar.
    """
    with _evaluating(encoder), torch.inference_mode():
        return Embeddings(
            encode_images(encoder, corpus, batch_size, progress=progress),
            encode_captions(encoder, corpus, batch_size, progress=progress),
        )


def encode_images(
    encoder: DualEncoder, corpus: Corpus, batch_size: int = BATCH_SIZE, *, progress: bool = False
) -> Tensor:
    """Return (N, D) for the images of ``corpus``; see :func:`encode_corpus`."""
    order = np.arange(corpus.image_count)
    with _evaluating(encoder), torch.inference_mode():
        return _encode(
            lambda rows: encoder.encode_images(corpus.images(rows)), order, batch_size, progress
        )


def encode_captions(
    encoder: DualEncoder, corpus: Corpus, batch_size: int = BATCH_SIZE, *, progress: bool = False
) -> Tensor:
    """Return (M, D) for the captions of ``corpus``; see :func:`encode_corpus`.

    Captions of like length share a batch, so that little padding is computed.
    """
    words = [(len(caption.split()), len(caption)) for caption in corpus.captions]
    order = np.array(sorted(range(len(words)), key=words.__getitem__), np.int64)
    with _evaluating(encoder), torch.inference_mode():
        return _encode(
            lambda rows: encoder.encode_texts(corpus.texts(rows)), order, batch_size, progress
        )


def save_embeddings(path: Path, embeddings: Embeddings, facts: Mapping[str, Any]) -> str:
    """Write embeddings and JSON-able ``facts`` to one safetensors file, atomically.

    Returns:
        The SHA-256 over both matrices, which the file carries.
    """
    tensors = {"images": embeddings.images, "captions": embeddings.captions}
    digest = _digest(embeddings)
    save_tensors(path, tensors, {"facts": json.dumps({**facts, "sha256": digest})})
    return digest


def load_embeddings(path: Path) -> tuple[Embeddings, dict[str, Any]]:
    """Return what :func:`save_embeddings` wrote, on the CPU; the hash is among the facts.

    Raises:
        UserError: the file is missing, is something else, or was changed.
    """
    try:
        with safe_open(path, "pt") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {})["facts"])
        tensors = load_tensors(path)
        embeddings = Embeddings(tensors["images"], tensors["captions"])
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise UserError(
            f"'{path}' is no file of embeddings ({error}): make one with 'python -m cookie encode'."
        ) from None
    if _digest(embeddings) != facts.get("sha256"):
        raise UserError(f"The embeddings in '{path}' are damaged: encode again.")
    return embeddings, facts


def _encode(
    encode: Callable[[IndexArray], Tensor], order: IndexArray, batch_size: int, progress: bool
) -> Tensor:
    """Return the rows that ``encode`` gives for ``order``, batch by batch, put back in order."""
    parts: list[Tensor] = []
    with tqdm(total=len(order), unit="row", disable=not progress, leave=False) as bar:
        for start in range(0, len(order), batch_size):
            parts.append(encode(order[start : start + batch_size]))
            bar.update(len(parts[-1]))
    if not parts:
        return torch.empty(0, 0)
    encoded = torch.cat(parts).float()
    result = torch.empty_like(encoded)
    result[torch.from_numpy(order).to(encoded.device)] = encoded
    return result


@contextmanager
def _evaluating(encoder: DualEncoder) -> Iterator[None]:
    """Keep ``encoder`` in eval mode; what is no torch module has no modes."""
    module = encoder if isinstance(encoder, nn.Module) else None
    modes = [] if module is None else [(part, part.training) for part in module.modules()]
    if module is not None:
        module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _digest(embeddings: Embeddings) -> str:
    digest = hashlib.sha256()
    for matrix in embeddings:
        array = matrix.detach().cpu().contiguous().numpy()
        digest.update(str((array.shape, array.dtype)).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
