"""The page of images with captions."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cookie.data.contact_sheet import MARGIN, PICTURE, TEXT_WIDTH, contact_sheet
from cookie.data.scenes import SceneCounts, generate_scenes
from cookie.errors import UserError

DATASET = generate_scenes(SceneCounts(0, 0, 7))


@pytest.mark.parametrize(("rows", "shown"), [(2, 4), (9, 7)])
def test_pictures_stand_in_order_beside_text(tmp_path: Path, rows: int, shown: int) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet(DATASET, path, rows)
    sheet = np.asarray(Image.open(path)).astype(int)
    width, height = sheet.shape[1] // 2, sheet.shape[0] // -(-shown // 2)
    assert width == PICTURE + TEXT_WIDTH + 3 * MARGIN
    for place in range(shown):
        top, left = place // 2 * height + MARGIN, place % 2 * width + MARGIN
        picture = sheet[top : top + PICTURE, left : left + PICTURE]
        expected = DATASET.split("test").images.load(place, PICTURE)
        assert (picture == np.asarray(expected)).all()
        text = sheet[top : top + PICTURE, left + PICTURE + MARGIN : left + width - MARGIN]
        assert 1_000 < (text < 128).all(axis=2).sum() < 20_000
    gap = sheet[:, width - MARGIN : width]
    assert (gap == 255).all()  # no line of text runs into the next column


def test_it_starts_where_asked_and_names_wrong_splits(tmp_path: Path) -> None:
    contact_sheet(DATASET, tmp_path / "sheet.png", 1, start=6)
    corner = np.asarray(Image.open(tmp_path / "sheet.png"))[MARGIN:, MARGIN:][:PICTURE, :PICTURE]
    assert (corner == np.asarray(DATASET.split("test").images.load(6, PICTURE))).all()
    with pytest.raises(UserError, match="Unknown split"):
        contact_sheet(DATASET, tmp_path / "other.png", split="tests")
    assert not (tmp_path / "other.png").exists()
