"""What ``python -m cookie data`` does: look at a data set, or write it as shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from cookie.data.catalog import load_dataset
from cookie.errors import UserError
from cookie.files import require_place

if TYPE_CHECKING:
    from cookie.commands.options import DataFacts, DataShards, DataShow


def run_show(options: DataShow) -> None:
    """Write a contact sheet of a data set."""
    from cookie.data.contact_sheet import contact_sheet

    path = options.output or Path(f"{options.name}-{options.split}.png")
    require_place(path)
    dataset = load_dataset(options.name, options.data_root, options.preset)
    contact_sheet(dataset, path, options.rows, options.split, options.start)
    print(path)


def run_facts(options: DataFacts) -> None:
    """Print counts and hash of a data set."""
    facts = load_dataset(options.name, options.data_root, options.preset).facts()
    if options.json:
        print(json.dumps(facts))
        return
    print(f"{facts['name']}  sha256 {facts['sha256']}")
    for name, split in facts["splits"].items():
        histogram = ", ".join(f"{n} with {k}" for k, n in split["captions_per_image"].items())
        counts = f"{split['images']} images, {split['captions']} captions"
        print(f"  {name:<5} {counts} (captions an image: {histogram})")


def run_shards(options: DataShards) -> None:
    """Write a split as WebDataset shards and say where they are."""
    from cookie.data.shard_writer import samples_of, write_shards

    folder = options.output or Path(f"{options.name}-{options.split}-shards")
    require_place(folder / "00000.tar")
    split = load_dataset(options.name, options.data_root, options.preset).split(options.split)
    _check_place(folder, -(-len(split) // max(1, options.shard_size)))
    paths = write_shards(samples_of(split, options.image_size), folder, options.shard_size)
    print(f"{len(split)} images in {len(paths)} shards: {folder}")


def _check_place(folder: Path, count: int) -> None:
    """Raise :class:`UserError` where shards beyond those to be written would be read with them."""
    own = {f"{number:05d}.tar" for number in range(count)}
    others = sorted(path.name for path in folder.glob("*.tar") if path.name not in own)
    if others:
        raise UserError(
            f"'{folder}' has shards of something else, such as '{others[0]}': name an empty folder."
        )
