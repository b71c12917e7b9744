"""A page of images with their captions, to see with one's own eyes what a data set holds."""

from __future__ import annotations

import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from cookie.data.dataset import RetrievalDataset, Split
from cookie.errors import UserError
from cookie.files import replacing

COLUMNS = 2
PICTURE = 208
TEXT_WIDTH = 452
MARGIN = 12
LINE = 17
LETTERS = 64
"""Of a line of captions at most."""
MOST_ROWS = 250
"""A quarter of a gigabyte, where captions are few; further sheets take the rest."""


def contact_sheet(
    dataset: RetrievalDataset, path: Path, rows: int = 8, split: str = "test", start: int = 0
) -> None:
    """Write a PNG with ``2 * rows`` images of a split, each beside its captions.

    Args:
        dataset: any; of ``scenes`` neighbors are often hard negatives of each other.
        path: the PNG to write; it appears only when it is whole.
        rows: of two images each.
        split: which part of the data set.
        start: the first image shown.

    Raises:
        UserError: there are no or too many rows, no such split, or no such image to start at.
    """
    part = dataset.split(split)
    if not 1 <= rows <= MOST_ROWS:
        raise UserError(f"A sheet cannot have {rows} rows: choose from 1 to {MOST_ROWS}.")
    if not 0 <= start < len(part):
        raise UserError(
            f"The {split} images of {dataset.name} have the numbers 0 to {len(part) - 1}, so a "
            f"sheet cannot start at {start}: choose one of them."
        )
    shown = range(start, min(start + COLUMNS * rows, len(part)))
    height = max(PICTURE, *(LINE * len(_lines(part, index)) for index in shown), 1) + 2 * MARGIN
    width = PICTURE + TEXT_WIDTH + 3 * MARGIN
    sheet = Image.new("RGB", (COLUMNS * width, height * -(-len(shown) // COLUMNS)), "white")
    for place, index in enumerate(shown):
        corner = (place % COLUMNS * width + MARGIN, place // COLUMNS * height + MARGIN)
        _draw_entry(sheet, part, index, corner)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def _draw_entry(sheet: Image.Image, split: Split, index: int, corner: tuple[int, int]) -> None:
    sheet.paste(split.images.load(index, PICTURE), corner)
    text = "\n".join(_lines(split, index))
    place = (corner[0] + PICTURE + MARGIN, corner[1])
    font = ImageFont.load_default(size=13)
    ImageDraw.Draw(sheet).multiline_text(place, text, fill="black", font=font, spacing=3)


def _lines(split: Split, index: int) -> list[str]:
    """Return the image's name, then its captions broken into lines."""
    owned = (split.caption_image == index).nonzero()[0]
    wrapped = (
        textwrap.wrap(
            split.captions[caption], LETTERS, initial_indent="- ", subsequent_indent="   "
        )
        for caption in owned
    )
    return [split.image_names[index], *(line for lines in wrapped for line in lines)]
