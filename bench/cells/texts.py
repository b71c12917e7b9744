"""A text matching cell: captions that find captions, sentence pairs, and human judgments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from bench.material.image_truths import CROWD, EXPERT, caption_names
from bench.material.sentence_sets import SETS, load, load_paraphrases
from bench.material.workshop import Workshop, encoded
from bench.systems import systems
from cookie.data.catalog import find_data_root
from cookie.data.sentence_pairs import SentencePairs
from cookie.encoding import Embeddings
from cookie.interfaces import DualEncoder
from cookie.retrieval.judgments import Judgments, clipscore, flickr8k_crowd, flickr8k_expert
from cookie.retrieval.paraphrase import accuracy_and_f1, best_threshold, paired_cosines, spearman
from cookie.retrieval.siblings import SiblingMetrics, sibling_retrieval
from cookie.training.precision import autocast

BATCH = 256
GENERATED = "A model of generated scenes has read no other words than theirs."
ABSENT = "The data root does not have this set."


def run(
    workshop: Workshop, system: str, seed: int, protocol: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Match the test captions with each other, and sentences wherever they are at hand."""
    encoder = cast(DualEncoder, workshop.trained(systems[system].parts[0], seed))
    corpus = workshop.corpora()["test"]
    found = encoded(encoder, corpus, workshop.device, workshop.precision)
    siblings = sibling_retrieval(found.captions, corpus.caption_image)
    values = {
        "captions": len(found.captions),
        **_external(workshop, encoder),
        "judgments": _judgments(workshop, found),
    }
    return values, {"captions": samples(siblings, corpus.caption_image)}


def samples(found: SiblingMetrics, caption_image: NDArray[np.int64]) -> dict[str, list[Any]]:
    """Return every query, its image, and its measures in percent."""
    return {
        "query": found.queries.tolist(),
        "image": caption_image[found.queries].tolist(),
        **{f"r{k}": (100 * hits).tolist() for k, hits in found.hits.items()},
        "map_r": np.round(100 * found.average_precision, 4).tolist(),
    }


def _external(workshop: Workshop, encoder: DualEncoder) -> dict[str, Any]:
    """Return each sentence set's result, or the reason why there is none."""
    if workshop.dataset.split("test").scenes is not None:
        missing = {"reason": GENERATED}
        return {"sentences": dict.fromkeys(SETS, missing), "mrpc": missing}
    root = find_data_root(workshop.setup.data_root)
    pairs = {name: load(name, root) for name in SETS}
    rated = {name: _rated(workshop, encoder, found) for name, found in pairs.items()}
    return {"sentences": rated, "mrpc": _mrpc(workshop, encoder)}


def _rated(workshop: Workshop, encoder: DualEncoder, pairs: SentencePairs | None) -> dict[str, Any]:
    if pairs is None:
        return {"reason": ABSENT}
    rho, error = spearman(cosines(workshop, encoder, pairs), pairs.ratings)
    return {"spearman": rho, "standard_error": error, "pairs": len(pairs)}


def _mrpc(workshop: Workshop, encoder: DualEncoder) -> dict[str, Any]:
    found = load_paraphrases(find_data_root(workshop.setup.data_root))
    if found is None:
        return {"reason": ABSENT}
    train, test = (cosines(workshop, encoder, pairs) for pairs in found)
    threshold = best_threshold(train, found[0].ratings)
    accuracy, f1 = accuracy_and_f1(test, found[1].ratings, threshold)
    return {"accuracy": accuracy, "f1": f1, "threshold": threshold, "pairs": len(found[1])}


def cosines(workshop: Workshop, encoder: DualEncoder, pairs: SentencePairs) -> NDArray[np.float64]:
    """Return (P,) cosines of the two sentences of each pair."""
    vectors = encode_sentences(workshop, encoder, (*pairs.first, *pairs.second))
    return paired_cosines(vectors[: len(pairs)], vectors[len(pairs) :])


@torch.inference_mode()
def encode_sentences(
    workshop: Workshop, encoder: DualEncoder, sentences: Sequence[str]
) -> NDArray[np.float32]:
    """Return (S, D) embeddings; each different sentence is encoded once, long ones together."""
    unique = sorted(set(sentences), key=lambda sentence: (len(sentence.split()), sentence))
    parts = []
    with autocast(workshop.device, workshop.precision):
        for start in range(0, len(unique), BATCH):
            batch = workshop.text_batch(unique[start : start + BATCH])
            parts.append(encoder.encode_texts(batch).float().cpu())
    place = {sentence: row for row, sentence in enumerate(unique)}
    rows = [place[sentence] for sentence in sentences]
    vectors: NDArray[np.float32] = torch.cat(parts).numpy()[rows]
    return vectors


def _judgments(workshop: Workshop, found: Embeddings) -> dict[str, Any]:
    """Return Kendall's tau with the human ratings of Flickr8k, or why there is none."""
    dataset = workshop.dataset
    folder = find_data_root(workshop.setup.data_root) / dataset.name
    if dataset.name != "flickr8k":
        return {"reason": "People rated pairs of Flickr8k alone."}
    if workshop.setup.limit is not None:
        return {"reason": "The ratings are of the whole test split."}
    if not (folder / EXPERT).is_file() or not (folder / CROWD).is_file():
        return {"reason": ABSENT}
    expert = flickr8k_expert(folder / EXPERT, caption_names(dataset))
    crowd = flickr8k_crowd(folder / CROWD)
    taus = {"expert": expert, "crowd": crowd}
    return {name: _tau(workshop, found, rated) for name, rated in taus.items()}


def _tau(workshop: Workshop, found: Embeddings, rated: Judgments) -> float:
    split = workshop.dataset.split("test")
    images = {name: row for row, name in enumerate(split.image_names)}
    numbers = np.searchsorted(split.caption_image, np.arange(len(split)))
    rows = [images[name] for name in rated.images]
    owners = [name.rpartition("#") for name in rated.captions]
    captions = [int(numbers[images[owner]]) + int(number) for owner, _, number in owners]
    pairs = found.images[rows].cpu(), found.captions[captions].cpu()
    return rated.correlation(clipscore(paired_cosines(*(part.numpy() for part in pairs))))
