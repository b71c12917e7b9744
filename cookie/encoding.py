"""Embeddings of a whole corpus, and the file they are kept in.

Several processes share a corpus out in runs of the batches that one process would make, so that
every batch is computed as it would be by one, to the last bit where each process has as many
threads and the same device. Every process gets all embeddings: 4 D bytes a row, that many times
on a machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from tqdm import tqdm

from cookie.batches import in_parts
from cookie.errors import UserError
from cookie.interfaces import Corpus, DualEncoder, IndexArray
from cookie.training.checkpoint import load_tensors, save_tensors
from cookie.training.distributed import ALONE, Processes

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
    encoder: DualEncoder,
    corpus: Corpus,
    batch_size: int = BATCH_SIZE,
    *,
    progress: bool = False,
    processes: Processes = ALONE,
) -> Embeddings:
    """Return the embeddings of all images and captions, on the device that the encoder uses.

    The encoder works in eval mode without gradients and is left in the mode it was in.

    Args:
        encoder: any dual encoder.
        corpus: gives batches, not augmented.
        batch_size: images or captions at a time.
        progress: whether to show a bar.
        processes: share out the batches; each has the same encoder and corpus, and returns all.
    """
    with _evaluating(encoder), torch.inference_mode():
        return Embeddings(
            *(
                encode(encoder, corpus, batch_size, progress=progress, processes=processes)
                for encode in (encode_images, encode_captions)
            )
        )


def encode_images(
    encoder: DualEncoder,
    corpus: Corpus,
    batch_size: int = BATCH_SIZE,
    *,
    progress: bool = False,
    processes: Processes = ALONE,
) -> Tensor:
    """Return (N, D) for the images of ``corpus``; see :func:`encode_corpus`.

    On a CPU a batch of photographs is encoded in parts (:func:`cookie.batches.in_parts`).
    """

    def encode(rows: IndexArray) -> Tensor:
        return torch.cat([encoder.encode_images(part) for part in in_parts(corpus.images(rows))])

    order = np.arange(corpus.image_count)
    with _evaluating(encoder), torch.inference_mode():
        return _encode(encode, order, batch_size, processes, progress=progress)


def encode_captions(
    encoder: DualEncoder,
    corpus: Corpus,
    batch_size: int = BATCH_SIZE,
    *,
    progress: bool = False,
    processes: Processes = ALONE,
) -> Tensor:
    """Return (M, D) for the captions of ``corpus``; see :func:`encode_corpus`.

    Captions of like length share a batch, so that little padding is computed.
    """
    words = [(len(caption.split()), len(caption)) for caption in corpus.captions]
    order = np.array(sorted(range(len(words)), key=words.__getitem__), np.int64)
    with _evaluating(encoder), torch.inference_mode():
        return _encode(
            lambda rows: encoder.encode_texts(corpus.texts(rows)),
            order,
            batch_size,
            processes,
            progress=progress,
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


def is_embeddings(path: Path) -> bool:
    """Return whether ``path`` looks like what :func:`save_embeddings` writes; it may be damaged."""
    try:
        with safe_open(path, "pt") as file:
            return "facts" in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False


def _encode(
    encode: Callable[[IndexArray], Tensor],
    order: IndexArray,
    batch_size: int,
    processes: Processes,
    *,
    progress: bool,
) -> Tensor:
    """Return the rows that ``encode`` gives for ``order``, batch by batch, put back in order."""
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if not batches:
        return torch.empty(0, 0)
    runs = [batches[run.start : run.stop] for run in processes.runs(len(batches))]
    hidden = not (progress and processes.main)
    with tqdm(total=_rows(runs[processes.rank]), unit="row", disable=hidden, leave=False) as bar:
        parts: list[Tensor] = []
        for batch in runs[processes.rank]:
            parts.append(encode(batch))
            bar.update(len(batch))
    own = torch.cat(parts).float() if parts else torch.empty(0, 0)
    encoded = processes.assemble(own, [_rows(run) for run in runs])
    result = torch.empty_like(encoded)
    result[torch.from_numpy(order).to(encoded.device)] = encoded
    return result


def _rows(batches: Sequence[IndexArray]) -> int:
    return sum(map(len, batches))


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
