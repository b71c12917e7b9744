"""Whatever a caption file or a caption holds, one sentence comes out or what was asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cookie.data.karpathy import load_karpathy
from cookie.data.tokenizer import Tokenizer
from cookie.errors import UserError
from tests.cookie.data.photographs import jpeg, write_images

few = settings(max_examples=60, deadline=None)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
)
names = st.sampled_from(["a.jpg", "../a.jpg", "/a.jpg", "b.jpg", "\ud800.jpg", "a\0.jpg", ""])
sentence = st.fixed_dictionaries(
    {}, optional={"raw": st.text(max_size=9) | values, "sentid": leaves, "tokens": values}
)
image = st.fixed_dictionaries(
    {},
    optional={
        "filename": names | leaves,
        "filepath": names | leaves,
        "split": st.sampled_from(["train", "val", "test", "restval"]) | values,
        "sentences": st.lists(sentence, max_size=3) | values,
        "cocoid": leaves,
        "imgid": leaves,
    },
)
files = st.one_of(
    st.binary(max_size=60),
    values.map(lambda value: json.dumps(value).encode()),
    st.lists(image, max_size=3).map(lambda images: json.dumps({"images": images}).encode()),
)


def whole(**changes: Any) -> bytes:  # noqa: ANN401
    usual = {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "words"}]}
    return json.dumps({"images": [{**usual, **changes}]}).encode()


@few
@given(files)
@example(b"[" * 100_000)
@example(whole())
@example(whole(cocoid=10**30))
@example(whole(cocoid=float("inf")))
@example(whole(sentences=[{"raw": "half a character: \ud83d"}]))
@example(whole(sentences=[{"raw": "words", "sentid": -(10**25)}]))
@example(whole(filename="\udc00.jpg"))
@example(whole(sentences=[{"raw": "word " * 10_000}]))
def test_a_caption_file_loads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
):
    folder = tmp_path_factory.mktemp("fuzz") / "mine"
    write_images(folder, {"a.jpg": jpeg()})
    (folder / "dataset_mine.json").write_bytes(content)
    try:
        data = load_karpathy("mine", folder)
    except UserError:
        return
    assert all(caption for split in data.splits.values() for caption in split.captions)


captions = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@few
@given(st.lists(captions, min_size=1, max_size=4), st.integers(3, 12))
@example(["word " * 10_000], 8)
@example([""], 8)
@example(["\u202e\u0301\0 \U0001f6b2\ufeff"], 8)
def test_any_caption_becomes_tokens(texts: list[str], longest: int):
    tokenizer = Tokenizer.from_captions(["a dog runs", "a cat"])
    ids, mask = tokenizer.encode(texts, longest)
    assert ids.shape == mask.shape
    assert ids.shape[0] == len(texts)
    assert 2 <= ids.shape[1] <= longest
    assert int(ids.max()) < tokenizer.vocabulary_size
    assert mask.sum(dim=1).min() >= 2
