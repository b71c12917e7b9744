"""What the command line does with a trained model, once it is understood."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cookie.data.catalog import load_dataset
from cookie.data.dataset import RetrievalDataset
from cookie.data.tokenizer import require_text
from cookie.devices import resolve_device
from cookie.encoding import (
    Embeddings,
    encode_corpus,
    is_embeddings,
    load_embeddings,
    save_embeddings,
)
from cookie.errors import UserError
from cookie.features.corpora import build_corpora
from cookie.files import require_place
from cookie.interfaces import Corpus
from cookie.photos.gallery import check_photos, encode_photos, kept_photos
from cookie.retrieval import RetrievalMetrics, evaluate
from cookie.retrieval.search import build_index, indexes
from cookie.runs import Run, load_run, newest_run
from cookie.training.distributed import ALONE, Processes
from cookie.training.group import local_device, process_group

if TYPE_CHECKING:
    from cookie.commands.options import Encode, Evaluate, Search


def run_evaluate(options: Evaluate) -> None:
    """Print Recall@K of a trained run on a split; several processes share the work."""
    device = local_device(resolve_device(options.device))
    with process_group(device) as processes:
        run = _open(options.run, device, processes)
        name = options.dataset or run.setup["dataset"]
        dataset = load_dataset(name, options.data_root, run.setup["preset"])
        corpus = _corpus(run, dataset, options.split, processes)
        found = encode_corpus(run.model, corpus, progress=True, processes=processes)
        metrics = evaluate(*found, corpus.caption_image, processes=processes)
        if processes.main:
            _report_evaluation(options, run, dataset, metrics)


def run_encode(options: Encode) -> None:
    """Write the embeddings of a folder of photographs, or of a data set's split.

    Several processes share the work; one writes.

    Raises:
        UserError: no embeddings can be written there; said first.
    """
    _check_output(options.output)
    device = local_device(resolve_device(options.device))
    with process_group(device) as processes:
        run = _open(options.run, device, processes)
        if options.source.is_dir():
            embeddings, facts = encode_photos(run, options.source, processes)
        else:
            embeddings, facts = _encode_split(run, str(options.source), options, processes)
        if not processes.main:
            return
        digest = save_embeddings(options.output, embeddings, facts)
        print(f"{len(embeddings.images)} images and {len(embeddings.captions)} captions encoded.")
        print(f"{options.output} (sha256 {digest[:12]})")


def run_search(options: Search) -> None:
    """Print the images of a gallery that match a sentence best."""
    if options.top < 1:
        raise UserError(f"--top is {options.top}: ask for at least one image.")
    if options.sheet is not None:
        require_place(options.sheet)
    require_text(options.query)
    indexes[options.index]  # an unknown name is refused before anything is encoded
    embeddings, facts, run = _gallery(options)
    query = run.encode_query(options.query).to(embeddings.images.device)
    gallery = build_index(options.index, embeddings.images)
    found = gallery.search(query, min(options.top, len(embeddings.images)))
    hits = [
        {"score": round(score, 4), "image": facts["names"][index]}
        for score, index in zip(found.scores[0].tolist(), found.indices[0].tolist(), strict=True)
        if index >= 0  # an approximate index may find fewer than it was asked for
    ]
    if options.sheet is not None:
        _sheet(options, facts, [hit["image"] for hit in hits])
    if options.json:
        print(json.dumps({"query": options.query, "hits": hits}))
        return
    for rank, hit in enumerate(hits, 1):
        print(f"{rank:>3}  {hit['score']:.4f}  {hit['image']}")


def _check_output(path: Path) -> None:
    """Raise :class:`UserError` unless embeddings can be written at ``path``, over such at most."""
    require_place(path)
    if path.exists() and not is_embeddings(path):
        raise UserError(f"'{path}' is there and is no file of embeddings: choose another --output.")


def _report_evaluation(
    options: Evaluate, run: Run, dataset: RetrievalDataset, metrics: RetrievalMetrics
) -> None:
    if options.json:
        facts = {"run": str(run.folder), "dataset": dataset.name, "split": options.split}
        print(json.dumps(facts | {"dataset_sha256": dataset.sha256} | metrics.to_dict()))
        return
    print(f"{run.folder} on {dataset.name} {options.split}:")
    print(_table(metrics))


def _open(folder: Path | None, device: torch.device, processes: Processes = ALONE) -> Run:
    """Return the run in ``folder``; where none was named the newest, saying which that is."""
    if folder is not None:
        return load_run(folder, device)
    folder = newest_run()
    if processes.main:
        print(
            f"The run is '{folder}', of those in '{folder.parent}' the one that finished last: "
            "--run names another.",
            file=sys.stderr,
        )
    return load_run(folder, device)


def _corpus(run: Run, dataset: RetrievalDataset, split: str, processes: Processes) -> Corpus:
    """Return a split's corpus; what is kept on disk of it, the first process makes.

    Raises:
        DataError: an image is unreadable: a training goes on without it, a result does not.
    """
    device = next(run.model.parameters()).device
    only = dataclasses.replace(dataset, splits={split: dataset.split(split)})
    whole = dataclasses.replace(run.config.train, broken_images=0)
    config = dataclasses.replace(run.config, train=whole)
    with processes.main_first():
        return build_corpora(only, config, run.tokenizer, device=device)[split]


def _table(metrics: RetrievalMetrics) -> str:
    rows = (("image to text", metrics.i2t), ("text to image", metrics.t2i))
    lines = [f"{'':<14}{'R@1':>7}{'R@5':>7}{'R@10':>7}{'median rank':>13}"]
    for name, found in rows:
        recalls = "".join(f"{found.recall[k]:>7.1f}" for k in (1, 5, 10))
        lines.append(f"{name:<14}{recalls}{found.median_rank:>13.1f}")
    return "\n".join([*lines, f"RSUM {metrics.rsum:.1f}"])


def _encode_split(
    run: Run, name: str, options: Encode, processes: Processes
) -> tuple[Embeddings, dict[str, Any]]:
    dataset = load_dataset(name, options.data_root, run.setup["preset"])
    split = dataset.split(options.split)
    corpus = _corpus(run, dataset, options.split, processes)
    embeddings = encode_corpus(run.model, corpus, progress=True, processes=processes)
    facts = {"dataset": name, "split": options.split, "dataset_sha256": dataset.sha256}
    return embeddings, facts | {"names": list(split.image_names)} | run.facts


def _gallery(options: Search) -> tuple[Embeddings, dict[str, Any], Run]:
    """Return the gallery's embeddings, its facts, and the run that made them.

    Raises:
        UserError: weights or photographs are not what the gallery was made of.
    """
    if options.gallery.is_dir():
        run = _open(options.run, resolve_device(options.device))
        return *kept_photos(run, options.gallery), run
    embeddings, facts = load_embeddings(options.gallery)
    run = _open(options.run or Path(facts["run"]), resolve_device(options.device))
    if facts["weights_sha256"] != run.digest:
        raise UserError(
            f"'{options.gallery}' was encoded with other weights than those in '{run.folder}': "
            "encode it again."
        )
    if "dataset" not in facts:
        check_photos(options.gallery, facts)
    return embeddings, facts, run


def _sheet(options: Search, facts: dict[str, Any], names: list[str]) -> None:
    from cookie.photos.sheet import photo_sheet

    if "dataset" in facts:
        raise UserError("--sheet needs a gallery of photographs, and this one is a data set.")
    photo_sheet(options.sheet or Path(), options.query, [Path(name) for name in names])
