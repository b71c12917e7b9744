"""Scores of millions of pairs kept on disk while they are made, so that a kill loses little.

A shard is the scores of consecutive batches, written once all of them are done. Batches are
planned before anything is scored, so which pairs share a batch does not depend on where a run was
cut off, and a run that goes on ends with the same bits as one that was left alone.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from cookie.files import write_json
from cookie.training.checkpoint import load_tensors, save_tensors

_LOG = logging.getLogger("baselines.score_shards")
SHARD_PAIRS = 65_536
"""Fewest pairs of a shard: about twenty seconds of two CPU cores, a quarter of a mebibyte."""
Span = tuple[int, int]
"""First pair and the one after the last, in the order of scoring."""


@dataclass(frozen=True, slots=True)
class ScoreShards:
    """A folder of scores that some makings give; nothing else may lie in it.

    Attributes:
        folder: where the shards lie.
        makings: what decides a score to the last bit besides the pairs, as JSON holds it: hashes
            of weights and data, precision, machine.
        pairs: fewest pairs of a shard; the last one of a work may have fewer.
    """

    folder: Path
    makings: Mapping[str, Any]
    pairs: int = SHARD_PAIRS

    def about(self, **makings: Any) -> ScoreShards:  # noqa: ANN401 -- whatever JSON can hold
        """Return the same folder for scores that depend on ``makings`` as well."""
        return replace(self, makings={**self.makings, **makings})

    def keep(self, work: str, span: Span, score: Callable[[], Tensor]) -> Tensor:
        """Return the (P,) float32 scores of ``span``: the kept ones, or those of ``score``.

        A shard that is damaged, or that other makings gave, is named in the log and made again.

        Args:
            work: :func:`digest` of all pairs and batches that the span is a part of.
            span: P pairs.
            score: makes their scores.

        Raises:
            UserError: the disk is full.
        """
        path = self.folder / f"{work[:16]}-{span[0]:012d}.safetensors"
        facts = {"makings": self._digest(), "work": work, "span": list(span)}
        kept = _load(path, facts)
        if kept is None:
            kept = score()
            notes = json.dumps(facts | {"sha256": digest(_array(kept))})
            save_tensors(path, {"scores": kept}, {"facts": notes})
        return kept

    def remember(self, name: str, measure: Callable[[], float]) -> float:
        """Return a number that an earlier run of the same makings found, or that of ``measure``.

        A rate decides which queries are asked; measured again it would ask others.
        """
        path = self.folder / f"{name}.json"
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["makings"] == self._digest():
                return float(facts["value"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there, or of no use: measuring again is right in either case
        value = measure()
        write_json(path, {"makings": self._digest(), "value": value})
        return value

    def remove(self) -> None:
        """Delete the folder: its scores have become a result."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _digest(self) -> str:
        text = json.dumps(self.makings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def digest(*arrays: np.ndarray[Any, Any]) -> str:
    """Return the SHA-256 over arrays with their shapes and types."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(str((array.shape, array.dtype)).encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def grouped(batches: Sequence[Span], pairs: int) -> Iterator[Sequence[Span]]:
    """Yield consecutive ``batches`` in groups of ``pairs`` pairs or just above, the rest last."""
    first = 0
    for number, (_, stop) in enumerate(batches, 1):
        if stop - batches[first][0] >= pairs or number == len(batches):
            yield batches[first:number]
            first = number


def _load(path: Path, facts: Mapping[str, Any]) -> Tensor | None:
    """Return the scores in ``path`` if they are whole and what ``facts`` say, else None."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            found = json.loads((file.metadata() or {})["facts"])
        scores = load_tensors(path)["scores"]
        whole = found["sha256"] == digest(_array(scores))
    except (OSError, KeyError, ValueError, TypeError, SafetensorError):
        whole = False
    if not whole:
        _LOG.warning("The scores in '%s' are damaged: these pairs are scored again.", path)
        return None
    if any(found[name] != value for name, value in facts.items()):
        _LOG.warning(
            "The scores in '%s' are of other weights, data or settings: these pairs are scored "
            "again.",
            path,
        )
        return None
    return scores


def _array(scores: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    array: np.ndarray[Any, np.dtype[np.float32]] = scores.detach().cpu().to(torch.float32).numpy()
    return array
