"""Accuracy of other people's checkpoints: ``python -m bench.pretrained transformers_clip``.

A model reads a split with its own transform and tokenizer, and is judged by the same protocol
as this suite's own systems. Nothing is recorded: weights from elsewhere saw other data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from cookie.errors import UserError, run_main

if TYPE_CHECKING:
    from bench.measure.accuracy import AccuracySummary

KS = (1, 5, 10)
COCO_FOLDS = {"coco-5k": 1, "coco-1k": 5}
"""Parts of MSCOCO's test split that are searched each on its own, by protocol."""
ROWS = {"i2t": "image to text", "t2i": "text to image"}


@dataclass(frozen=True)
class PretrainedOptions:
    """Print Recall@K of a model that others have trained, with 95 % intervals.

    Weights are fetched by their libraries from their usual place, or read from a folder. Mind
    what they were trained on: most photographs of Flickr8k are in the training split of Flickr30k.

    Examples:
        python -m bench.pretrained transformers_clip --dataset flickr8k

        python -m bench.pretrained open_clip --weights ViT-B-32/openai --dataset flickr8k

        python -m bench.pretrained vilt --weights ./my-vilt --dataset scenes --limit 50

    Attributes:
        model: open_clip, transformers_clip (CLIP and SigLIP), vilt or blip_itm.
        weights: a folder or a name on the hub; for open_clip also ARCHITECTURE/TAG,
            ARCHITECTURE/FILE, hf-hub:OWNER/NAME or local-dir:FOLDER.
        dataset: scenes (generated), flickr8k, flickr30k, coco-5k (MSCOCO's whole test split),
            coco-1k (the mean of its five folds), or a folder's name.
        split: train, val or test.
        data_root: where data sets lie; by default COOKIE_DATA, then data.
        limit: use the first so many images only.
        seconds: time for the scores of vilt and blip_itm; what does not fit is sampled, two
            queries a direction at least.
        precision: float32, bfloat16, or auto for bfloat16 where the hardware has it.
        device: auto, cpu, cuda or cuda:N.
        random: random weights, for a look at chance.
        json: print as JSON, with every query's rank.
    """

    model: Annotated[str, tyro.conf.Positional]
    weights: str | None = None
    dataset: str = "scenes"
    split: str = "test"
    data_root: Path | None = None
    limit: int | None = None
    seconds: float = 150.0
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    device: str = "auto"
    random: bool = False
    json: bool = False


def main() -> None:
    """Command line entry."""
    options = tyro.cli(
        PretrainedOptions, prog="python -m bench.pretrained", config=(tyro.conf.FlagCreatePairsOff,)
    )
    check(options)
    facts, summary = judged(options)
    if options.json:
        print(json.dumps(facts | {"accuracy": summary.to_dict()}))
        return
    print(page(facts, summary))


def check(options: PretrainedOptions) -> None:
    """Raise :class:`UserError` for what is wrong with the options themselves."""
    if options.limit is not None and options.limit < 2:
        raise UserError("--limit needs at least 2 images.")
    if not options.seconds > 0:
        raise UserError("--seconds needs a positive number of seconds.")
    if options.dataset in COCO_FOLDS and (options.limit is not None or options.split != "test"):
        raise UserError(
            f"{options.dataset} means the whole test split of MSCOCO: leave out --limit and "
            "--split, or name the data set 'coco'."
        )


def judged(options: PretrainedOptions) -> tuple[dict[str, Any], AccuracySummary]:
    """Return what was evaluated, and how it did.

    Raises:
        UserError: unknown model, data set, split or device, or weights that cannot be had.
    """
    from bench.checkpoints import accuracy, checkpoints, load
    from cookie.data.catalog import load_dataset
    from cookie.devices import resolve_device

    checkpoints[options.model]  # what is unknown is refused before anything is read
    device = resolve_device(options.device)
    folds = COCO_FOLDS.get(options.dataset)
    dataset = load_dataset("coco" if folds else options.dataset, options.data_root)
    split = dataset.split(options.split)
    bundle = load(options.model, options.weights, random=options.random)
    summary = accuracy(
        bundle,
        split,
        protocol=options.dataset if folds else f"karpathy-{options.split}",
        device=device,
        limit=options.limit,
        seconds=options.seconds,
        precision=options.precision,
        folds=folds or 1,
    )
    facts: dict[str, Any] = {
        "model": options.model,
        "weights": bundle.weights,
        "dataset": dataset.name,
        "dataset_sha256": dataset.sha256,
        "split": options.split,
        "folds": folds or 1,
        "limit": options.limit,
    }
    return facts, summary


def page(facts: dict[str, Any], summary: AccuracySummary) -> str:
    """Return what is printed: whose weights, on what, and the recalls with their intervals."""
    weights = facts["weights"] or "RANDOM WEIGHTS: what follows is chance"
    galleries = {name: summary.metrics[name]["gallery"] for name in ROWS}
    where = f"{facts['dataset']} {facts['split']}"
    folds = facts["folds"]
    each = f" in the first of {folds} folds; what follows is their mean" * (folds > 1)
    return "\n".join(
        [
            f"{facts['model']} ({weights})",
            f"on {where}: {galleries['t2i']} images, {galleries['i2t']} captions{each}",
            f"{'':<14}" + "".join(f"{f'R@{k}':>20}" for k in KS),
            *(_row(name, summary) for name in ROWS),
            f"RSUM {_cell(summary.rsum.to_dict())}",
            *_remarks(summary),
        ]
    )


def _row(direction: str, summary: AccuracySummary) -> str:
    found = summary.intervals[direction]
    return f"{ROWS[direction]:<14}" + "".join(f"{_cell(found[k].to_dict()):>20}" for k in KS)


def _cell(interval: dict[str, float]) -> str:
    return f"{interval['estimate']:.1f} [{interval['low']:.1f}, {interval['high']:.1f}]"


def _remarks(summary: AccuracySummary) -> list[str]:
    """Return what a reader has to know of the queries and of ties."""
    asked = {name: summary.metrics[name]["queries"] for name in ROWS}
    sample = f"Sampled: {asked['i2t']} images and {asked['t2i']} captions asked the full gallery."
    ties = [
        f"{ROWS[name]}: {summary.metrics[name]['tied']:.0f} % of the queries are ties."
        for name in ROWS
        if summary.metrics[name]["tied"] > 1
    ]
    return [*([sample] if summary.sampled else []), *ties]


if __name__ == "__main__":
    run_main(main)
