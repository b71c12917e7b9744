"""Both directions' ranks from one pass over the scores of all images with all captions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cookie.interfaces import IndexArray
from cookie.retrieval.metrics import QueryRanks
from cookie.retrieval.positives import Positives, image_positives
from cookie.retrieval.products import (
    exact_products,
    inner_products,
    one_thread,
    pair_products,
    rounding_slack,
)
from cookie.retrieval.ranking import best_of_rows, precision_at_r
from cookie.retrieval.tally import Tally
from cookie.training.distributed import ALONE, Processes


class TileShape(NamedTuple):
    """Images and captions scored at once."""

    images: int
    captions: int


CPU_TILE = TileShape(256, 4096)  # 4 MB of scores: stays in the cache while it is compared
GPU_TILE = TileShape(4096, 16_384)  # 256 MB: few enough tiles that waiting for each is nothing
_CLOSE_SHARE = 1 / 256  # of a tile's products; above it, scoring the tile exactly is cheaper


class Sweep:
    """One evaluation: N images and M captions, scored tile by tile, in O(N + M) memory.

    Captions are put in the order of their images, so that the positives of a tile are a range.
    """

    def __init__(self, images: Tensor, captions: Tensor, caption_image: IndexArray) -> None:
        device = images.device
        order = np.argsort(caption_image, kind="stable").astype(np.int64)
        self.truth: Positives = image_positives(caption_image, len(images))
        self.order = torch.from_numpy(order).to(device)  # (M,) sorted place -> caption
        self.image = torch.from_numpy(caption_image[order]).to(device)  # (M,)
        self.images, self.captions = images, captions
        if not np.array_equal(order, np.arange(len(order))):
            self.captions = captions[self.order]
        places = torch.arange(len(order), device=device)
        self.own = pair_products(images, self.captions, self.image, places)  # (M,)
        self.i2t, self.t2i = self._tallies()
        width = max(1, int(self.truth.counts.max(initial=0)))
        self.rivals = images.new_full((len(images), width), -torch.inf)  # best negatives

    def _tallies(self) -> tuple[Tally, Tally]:
        """Return empty tallies; an image without captions has a best score of +inf."""
        none = self.images.new_full((len(self.images),), -torch.inf)
        best = none.scatter_reduce(0, self.image, self.own, "amax")
        caption = torch.where(self.own == best[self.image], self.order, len(self.order))
        first = torch.full_like(best, len(self.order), dtype=torch.int64)
        first = first.scatter_reduce(0, self.image, caption, "amin")
        best = torch.where(torch.isneginf(best), torch.inf, best)
        image_slack = rounding_slack(self.images, _longest(self.captions))
        caption_slack = rounding_slack(self.captions, _longest(self.images))
        return Tally(best, first, image_slack), Tally(self.own, self.image, caption_slack)

    def run(
        self, tile: TileShape | None = None, processes: Processes = ALONE
    ) -> tuple[QueryRanks, QueryRanks]:
        """Score everything once and return the ranks of i2t and t2i.

        Each process scores strips of its own; their counts add up to what one would count, and
        what is close to call every process settles exactly, so all return the same.
        """
        threads = 1 if self.images.is_cuda else torch.get_num_threads()
        if tile is None:
            tile = GPU_TILE if self.images.is_cuda else CPU_TILE
            share = -(-len(self.images) // (threads * processes.world))  # a strip for each thread
            tile = TileShape(max(1, min(tile.images, share)), tile.captions)
        strips = range(0, len(self.images), tile.images)[processes.rank :: processes.world]
        with one_thread():
            if threads == 1:
                self._add_strips(strips, self.t2i, tile)
            else:
                self._add_in_threads([strips[i::threads] for i in range(threads)], tile)
            self._share(processes)
            return self._image_ranks(), self._caption_ranks()

    def _share(self, processes: Processes) -> None:
        """Put together what the processes found; each image's negatives are with one of them."""
        self.i2t.share(processes)
        self.t2i.share(processes)
        processes.most(self.rivals)

    def _add_in_threads(self, shares: list[range], tile: TileShape) -> None:
        """Give each thread strips of its own.

        A tile is a dozen short operations. Splitting every one of them over the cores, as torch
        does, makes the cores wait for each other a dozen times a tile.
        """
        tallies = [self.t2i.fork() for _ in shares]
        with ThreadPoolExecutor(len(shares), initializer=partial(torch.set_num_threads, 1)) as pool:
            list(pool.map(self._add_strips, shares, tallies, [tile] * len(shares)))
        for tally in tallies:
            self.t2i.merge(tally)

    @torch.no_grad()
    def _add_strips(self, strips: range, t2i: Tally, tile: TileShape) -> None:
        for image in strips:
            for caption in range(0, len(self.captions), tile.captions):
                self._add_tile(image, caption, tile, t2i)

    def _add_tile(self, image: int, caption: int, tile: TileShape, t2i: Tally) -> None:
        left = self.images[image : image + tile.images]
        right = self.captions[caption : caption + tile.captions]
        scores = self._mask(inner_products(left, right), image, caption)
        self._add_rivals(scores, image)
        buffer = torch.empty_like(scores)
        image_above, image_close = self.i2t.certain(scores, image, buffer)
        caption_above, caption_close = t2i.certain(scores.T, caption, buffer.T)
        close = int(image_close.sum() + caption_close.sum())
        if close > _CLOSE_SHARE * scores.numel():
            exact = self._mask(exact_products(left, right), image, caption)
            self._add_exactly(exact, image, caption, t2i)
            return
        self.i2t.above[image : image + len(left)] += image_above
        t2i.above[caption : caption + len(right)] += caption_above
        if close:
            self._settle_images(scores, image, caption, image_close)
            self._settle_captions(scores, image, caption, caption_close, t2i)

    def _add_rivals(self, scores: Tensor, image: int) -> None:
        """Keep the best negatives of each image of a tile."""
        rivals = self.rivals[image : image + len(scores)]
        found = best_of_rows(scores, rivals.shape[1])[0]
        rivals.copy_(torch.cat([rivals, found], dim=1).topk(rivals.shape[1], dim=1).values)

    def _mask(self, scores: Tensor, image: int, caption: int) -> Tensor:
        """Set the positives of a tile to -inf: only negatives are counted."""
        rows, columns = scores.shape
        start, stop = self.truth.offsets[[image, image + rows]]
        start, stop = max(int(start), caption), min(int(stop), caption + columns)
        if start < stop:
            places = torch.arange(start - caption, stop - caption, device=scores.device)
            scores[self.image[start:stop] - image, places] = -torch.inf
        return scores

    def _add_exactly(self, scores: Tensor, image: int, caption: int, t2i: Tally) -> None:
        rows, columns = scores.shape
        self.i2t.add_exact(scores, image, self.order[caption : caption + columns])
        places = torch.arange(image, image + rows, device=scores.device)
        t2i.add_exact(scores.T, caption, places)

    def _settle_images(self, scores: Tensor, image: int, caption: int, close: Tensor) -> None:
        """Score the close captions of a tile's images exactly and count them."""
        images, column = self.i2t.close_pairs(scores, image, close)
        exact = pair_products(self.images, self.captions, images, caption + column)
        self.i2t.settle(images, exact, self.order[caption + column])

    def _settle_captions(
        self, scores: Tensor, image: int, caption: int, close: Tensor, t2i: Tally
    ) -> None:
        """Score the close images of a tile's captions exactly and count them."""
        captions, row = t2i.close_pairs(scores.T, caption, close)
        exact = pair_products(self.images, self.captions, image + row, captions)
        t2i.settle(captions, exact, image + row)

    def _caption_ranks(self) -> QueryRanks:
        """Return t2i ranks in the captions' own order; one positive each makes R = 1."""
        ranks, optimistic, pessimistic = (
            torch.empty_like(part).scatter_(0, self.order, part).cpu().numpy()
            for part in _ranks(self.t2i)
        )
        first = (ranks == 0).astype(np.float64)
        queries = np.arange(len(ranks))
        return QueryRanks(queries, ranks, optimistic, pessimistic, first, first, len(self.images))

    def _image_ranks(self) -> QueryRanks:
        """Return i2t ranks of the images that have captions."""
        asked = self.truth.answerable
        ranks, optimistic, pessimistic = (part.cpu().numpy()[asked] for part in _ranks(self.i2t))
        average, precision = (part.cpu().numpy()[asked] for part in self._precision())
        return QueryRanks(
            asked, ranks, optimistic, pessimistic, average, precision, len(self.captions)
        )

    def _precision(self) -> tuple[Tensor, Tensor]:
        """Return average precision at R and R-Precision (N,) from the best negatives."""
        places = self.truth.padded(self.images.device)  # (N, P) captions
        held = places >= 0
        by_caption = torch.empty_like(self.own).scatter_(0, self.order, self.own)
        own = by_caption[places.clamp(min=0)].masked_fill(~held, -torch.inf)
        own = own.sort(dim=1, descending=True).values
        gap = own[:, :, None] - self.rivals[:, None, :]  # (N, P, P)
        doubtful = ((gap.abs() <= self.i2t.slack[:, None, None]).flatten(1)).any(dim=1)
        place = torch.arange(own.shape[1], device=own.device)
        rank = place + (gap < 0).sum(dim=2)  # of each positive, 0-based, exact below R
        count = held.sum(dim=1, keepdim=True)
        hits = ((rank < count) & (place < count)).double()
        average = (hits * (place + 1) / (rank + 1)).sum(dim=1) / count.flatten()
        precision = hits.sum(dim=1) / count.flatten()
        return self._settle_precision(doubtful.nonzero().flatten(), average, precision)

    def _settle_precision(
        self, rows: Tensor, average: Tensor, precision: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Redo ``rows`` on exact scores, in the captions' own order."""
        unsorted = self.order.argsort()
        for part in torch.split(rows, 256):
            scores = exact_products(self.images[part], self.captions)[:, unsorted]
            positives = self.truth.select(part.cpu().numpy()).padded(part.device)
            average[part], precision[part] = precision_at_r(scores, positives)
        return average, precision


def _longest(embeddings: Tensor) -> Tensor:
    if not len(embeddings):
        return embeddings.new_zeros(())
    longest: Tensor = torch.linalg.vector_norm(embeddings, dim=1).amax()
    return longest


def _ranks(tally: Tally) -> tuple[Tensor, Tensor, Tensor]:
    return tally.above + tally.earlier, tally.above, tally.above + tally.level
