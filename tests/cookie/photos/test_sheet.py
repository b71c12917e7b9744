"""The picture of a search shows what was found, upright."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cookie.errors import DataError
from cookie.photos.sheet import MARGIN, SIDE, photo_sheet


def test_photographs_are_shown_upright_and_in_their_shades(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 20), "red").save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(np.full((9, 9), 25700, np.uint16)).save(tmp_path / "gray.png")
    photo_sheet(tmp_path / "sheet.png", "a", [tmp_path / "turned.jpg", tmp_path / "gray.png"])
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).astype(int)
    tall, gray = sheet[-150, MARGIN : MARGIN + SIDE], sheet[-150, SIDE + 2 * MARGIN : -MARGIN]
    assert (tall[:50, 1] < 50).all()
    assert (tall[60:, 1] == 255).all()
    assert (gray == 100).all()


def test_a_photograph_that_broke_meanwhile_is_named(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"rubbish")
    with pytest.raises(DataError, match=r"'.*a\.jpg' is no image of a known kind"):
        photo_sheet(tmp_path / "sheet.png", "a", [tmp_path / "a.jpg"])
