"""How alike two generated scenes are, from what they show: no model has a say in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import chain, permutations

import numpy as np
from numpy.typing import NDArray

from cookie.data.scene_graph import Scene


def facts(scene: Scene) -> Iterator[Hashable]:
    """Yield what can be said of a scene.

    One fact for each object (its shape), three for its attributes (shape with color, with size,
    with material), and one for each ordered pair of which one object stands left of or above the
    other, both named by color and shape.
    """
    for thing in scene.objects:
        yield thing.shape
        yield from ((thing.shape, value) for value in (thing.color, thing.size, thing.material))
    for one, other in permutations(scene.objects, 2):
        names = (one.color, one.shape), (other.color, other.shape)
        if one.column < other.column:
            yield "left of", *names
        if one.row < other.row:
            yield "above", *names


def scene_similarity(scenes: Sequence[Scene]) -> NDArray[np.float64]:
    """Return (N, N): the share of facts that two scenes have in common, 1 for the same facts.

    Facts that are true twice count twice: the Jaccard index of multisets, the sum of the smaller
    counts over that of the larger ones. Two objects that look alike make no relation of
    themselves, so scenes of different meaning can still be equal here; that is rare.
    """
    numbered = [_numbered(scene) for scene in scenes]
    different = dict.fromkeys(chain.from_iterable(numbered))
    known = {fact: column for column, fact in enumerate(different)}
    rows = np.repeat(np.arange(len(scenes)), [len(found) for found in numbered])
    table = np.zeros((len(scenes), len(known)), np.float32)
    table[rows, [known[fact] for found in numbered for fact in found]] = 1
    common = (table @ table.T).astype(np.float64)
    sizes = table.sum(axis=1).astype(np.float64)
    similarity: NDArray[np.float64] = common / (sizes[:, None] + sizes - common)
    return similarity


def _numbered(scene: Scene) -> list[tuple[Hashable, int]]:
    """Return every fact with its number, so that a multiset becomes a set."""
    return [(fact, n) for fact, count in Counter(facts(scene)).items() for n in range(count)]
