"""What the command line takes, one dataclass a command; tyro makes flags and help of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import tyro
from tyro.conf import Positional, subcommand

from cookie.config import Config


@dataclass(frozen=True)
class Train:
    """Train COOKIE; a training that was cut off goes on where it was saved last.

    Examples:
        python -m cookie train --dataset scenes --preset tiny
        python -m cookie train --dataset flickr8k --preset small --train.steps 600
        python -m cookie train --stage pretrain --dataset shards --preset small --run before
        python -m cookie train --stage finetune --from before --dataset flickr8k --preset small

    Attributes:
        config: all settings; --preset chooses them, every other flag changes one.
        dataset: name of the data set.
        stage: single is one stage with three losses; pretrain the same, to be gone on from;
            finetune starts from another run's weights and has the image-text loss alone.
        start: folder of the run that a fine-tuning starts from; its words are kept.
        data_root: folder with data sets; default COOKIE_DATA or 'data'.
        seed: of initialization, data order and augmentation.
        device: auto, cpu, cuda or cuda:N.
        run: folder of the run; default one named by data set and settings under .cookie/runs.
        json: print the outcome as JSON.
    """

    config: Annotated[Config, tyro.conf.arg(name="")]
    dataset: str = "scenes"
    stage: Literal["single", "pretrain", "finetune"] = "single"
    start: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    data_root: Path | None = None
    seed: int = 0
    device: str = "auto"
    run: Path | None = None
    json: bool = False


@dataclass(frozen=True)
class Evaluate:
    """Print Recall@K of a trained run.

    Several processes share the work and print what one would.

    Examples:
        python -m cookie evaluate --split val
        torchrun --nproc-per-node 4 -m cookie evaluate --dataset flickr30k

    Attributes:
        run: folder of the run; default the one under .cookie/runs that finished last.
        split: train, val or test.
        dataset: another data set than the run was trained on.
        data_root: folder with data sets; default COOKIE_DATA or 'data'.
        device: auto, cpu, cuda or cuda:N.
        json: print everything as JSON.
    """

    run: Path | None = None
    split: str = "test"
    dataset: str | None = None
    data_root: Path | None = None
    device: str = "auto"
    json: bool = False


@dataclass(frozen=True)
class Encode:
    """Write embeddings to a file that 'search' takes as its gallery.

    Several processes share the work and write what one would.

    Examples:
        python -m cookie encode ~/Pictures --output pictures.safetensors
        torchrun --nproc-per-node 4 -m cookie encode flickr30k --output gallery.safetensors

    Attributes:
        source: a folder of photographs, or the name of a data set.
        output: file to write.
        run: folder of the run; default the one under .cookie/runs that finished last.
        split: of a data set.
        data_root: folder with data sets; default COOKIE_DATA or 'data'.
        device: auto, cpu, cuda or cuda:N.
    """

    source: Positional[Path]
    output: Path = Path("gallery.safetensors")
    run: Path | None = None
    split: str = "test"
    data_root: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Search:
    """Find the images that match a sentence best.

    Examples:
        python -m cookie search "a dog on the beach" --gallery ~/Pictures --top 5

    Attributes:
        query: the sentence.
        gallery: a folder of photographs, encoded when it has changed, or a file made by 'encode'.
        run: folder of the run; default the gallery file's, or the one under .cookie/runs that
            finished last.
        top: how many images.
        index: flat is exact; hnsw and ivf are faiss's, approximate, for large galleries.
        sheet: PNG to write with the query and the images found.
        device: auto, cpu, cuda or cuda:N.
        json: print the outcome as JSON.
    """

    query: Positional[str]
    gallery: Path
    run: Path | None = None
    top: int = 5
    index: str = "flat"
    sheet: Path | None = None
    device: str = "auto"
    json: bool = False


@dataclass(frozen=True)
class DataShow:
    """Write a contact sheet: images beside their captions.

    Attributes:
        name: of the data set.
        output: PNG to write; default NAME-SPLIT.png.
        split: train, val or test.
        rows: of two images each.
        start: first image shown.
        preset: decides how much generated data there is.
        data_root: folder with data sets; default COOKIE_DATA or 'data'.
    """

    name: Positional[str] = "scenes"
    output: Path | None = None
    split: str = "test"
    rows: int = 8
    start: int = 0
    preset: str = "tiny"
    data_root: Path | None = None


@dataclass(frozen=True)
class DataFacts:
    """Print counts and hash of a data set.

    Attributes:
        name: of the data set.
        preset: decides how much generated data there is.
        data_root: folder with data sets; default COOKIE_DATA or 'data'.
        json: print as JSON.
    """

    name: Positional[str] = "scenes"
    preset: str = "tiny"
    data_root: Path | None = None
    json: bool = False


@dataclass(frozen=True)
class DataShards:
    """Write a data set's split as WebDataset shards (.tar).

    Attributes:
        name: of the data set.
        output: folder to write into; default NAME-SPLIT-shards.
        split: train, val or test.
        image_size: pixels a side.
        shard_size: images a shard.
        preset: decides how much generated data there is.
        data_root: folder with data sets; default COOKIE_DATA or 'data'.
    """

    name: Positional[str] = "scenes"
    output: Path | None = None
    split: str = "train"
    image_size: int = 224
    shard_size: int = 1000
    preset: str = "tiny"
    data_root: Path | None = None


DataCommand: TypeAlias = (
    Annotated[DataShow, subcommand("show")]
    | Annotated[DataFacts, subcommand("facts")]
    | Annotated[DataShards, subcommand("shards")]
)


@dataclass(frozen=True)
class Data:
    """Look at a data set, or write it as shards."""

    command: DataCommand


Command: TypeAlias = Train | Evaluate | Encode | Search | DataShow | DataFacts | DataShards
