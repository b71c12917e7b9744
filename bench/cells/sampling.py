"""Which queries are asked where there is no time for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cookie.interfaces import Corpus, IndexArray

LEAST = 2
"""Queries of a direction that are asked, whatever time there is."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Queries of both directions to be answered against the full gallery.

    Attributes:
        images: (Q,) image queries. captions: (Q,) caption queries; both ascending.
        whole: whether these are all there are.
    """

    images: IndexArray
    captions: IndexArray
    whole: bool


def pairs_of_all(corpus: Corpus) -> tuple[int, int]:
    """Return the pairs of one image query and of one caption query against the full gallery."""
    return len(corpus.captions), corpus.image_count


def draw(corpus: Corpus, affordable: float, pairs: tuple[int, int], seed: int) -> Sample:
    """Return all queries, or a random sample whose pairs are ``affordable``.

    The directions share the pairs so that the sum of their recalls varies least: queries in
    inverse proportion to the square root of what one costs (Neyman 1934). A larger sample
    contains a smaller one, so runs of different speed share their queries.

    Args:
        corpus: the split.
        affordable: pairs that may be scored; at least two queries a direction are drawn.
        pairs: of one image query, of one caption query.
        seed: of the draw.
    """
    counts = corpus.image_count, len(corpus.captions)
    if counts[0] * pairs[0] + counts[1] * pairs[1] <= affordable:
        return Sample(np.arange(counts[0]), np.arange(counts[1]), whole=True)
    generator, roots = np.random.default_rng(seed), np.sqrt(pairs)
    images, captions = (
        np.sort(generator.permutation(count)[: max(LEAST, int(affordable / (root * roots.sum())))])
        for count, root in zip(counts, roots, strict=True)
    )
    return Sample(images, captions, whole=len(images) + len(captions) == sum(counts))
