"""A picture of a search: the query on top, the photographs found below it, best first."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from cookie.data.decoding import decode
from cookie.files import replacing

SIDE = 224
MARGIN = 12
LINE = 20
COLUMNS = 5


def photo_sheet(path: Path, query: str, photos: Sequence[Path]) -> None:
    """Write a PNG with the ``photos`` in rows of five, ranks and file names below them.

    Args:
        path: the PNG to write; it appears only when it is whole.
        query: what was searched for.
        photos: best first; files that could be read a moment ago.

    Raises:
        DataError: one of them has become unreadable since.
    """
    columns = min(COLUMNS, len(photos))
    width = columns * (SIDE + MARGIN) + MARGIN
    title = textwrap.wrap(query, max(10, width // 9))
    top = MARGIN + LINE * len(title) + MARGIN
    cell = SIDE + LINE + MARGIN
    sheet = Image.new("RGB", (width, top + cell * -(-len(photos) // columns)), "white")
    font = ImageFont.load_default(size=15)
    drawing = ImageDraw.Draw(sheet)
    drawing.multiline_text((MARGIN, MARGIN), "\n".join(title), fill="black", font=font)
    for place, photo in enumerate(photos):
        left = MARGIN + place % columns * (SIDE + MARGIN)
        upper = top + place // columns * cell
        image = decode(photo.read_bytes(), None, f"'{photo}'")
        sheet.paste(ImageOps.contain(image, (SIDE, SIDE)), (left, upper))
        label = textwrap.shorten(f"{place + 1}. {photo.name}", 30, placeholder="...")
        drawing.text((left, upper + SIDE + 2), label, fill="black", font=font)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")
